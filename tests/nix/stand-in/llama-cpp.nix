# A package with the arguments and attributes of nixpkgs' `llama-cpp`. What it builds is a script that answers as llama-server
# would; `said` is the folder with the answers.
{
  lib,
  stdenv,
  config,
  said,
  cudaSupport ? config.cudaSupport or false,
  cudaPackages ? { },
  rocmSupport ? config.rocmSupport or false,
  rocmPackages ? { },
  rocmGpuTargets ? [
    "gfx906"
    "gfx1030"
  ],
  cpuArchDynamicDispatch ? true,
  blasSupport ? builtins.all (each: !each) [
    cudaSupport
    metalSupport
    rocmSupport
    vulkanSupport
  ],
  metalSupport ? false,
  vulkanSupport ? false,
  rpcSupport ? false,
  cmake,
  nodejs_latest,
  npmHooks,
  openssl,
  fetchNpmDeps,
}:
let
  inherit (lib) cmakeBool cmakeFeature;
in
stdenv.mkDerivation (finalAttrs: {
  pname = "llama-cpp";
  version = "9925";

  # what its own `fetchFromGitHub` comes to, which nothing here can build
  src = builtins.toFile "llama.cpp-of-nixpkgs" "the tree of b9925";
  patches = [ ];
  # for that version's tree alone; nixpkgs has had it without `-f`
  postPatch = "rm -f tools/server/public/index.html.gz";

  nativeBuildInputs = [
    cmake
    nodejs_latest
    npmHooks.npmConfigHook
    null
  ];
  buildInputs = [ openssl ];

  npmRoot = "tools/ui";
  npmDepsHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  npmDeps = fetchNpmDeps {
    name = "${finalAttrs.pname}-${finalAttrs.version}-npm-deps";
    inherit (finalAttrs) src patches;
    hash = finalAttrs.npmDepsHash;
  };

  preConfigure = ''
    prependToVar cmakeFlags "-DLLAMA_BUILD_COMMIT:STRING=$(cat COMMIT)"
    pushd ${finalAttrs.npmRoot}
    npm run build
    popd
  '';

  cmakeFlags = [
    (cmakeBool "GGML_NATIVE" false)
    (cmakeBool "LLAMA_BUILD_SERVER" true)
    (cmakeBool "GGML_BLAS" blasSupport)
    (cmakeBool "GGML_CUDA" cudaSupport)
    (cmakeBool "GGML_HIP" rocmSupport)
    (cmakeBool "GGML_METAL" metalSupport)
    (cmakeBool "GGML_RPC" rpcSupport)
    (cmakeBool "GGML_VULKAN" vulkanSupport)
    (cmakeFeature "LLAMA_BUILD_NUMBER" finalAttrs.version)
  ]
  ++ lib.optionals cpuArchDynamicDispatch [
    (cmakeBool "GGML_CPU_ALL_VARIANTS" true)
    (cmakeBool "GGML_BACKEND_DL" true)
  ]
  ++ lib.optionals cudaSupport [
    (cmakeFeature "CMAKE_CUDA_ARCHITECTURES" (builtins.concatStringsSep ";" (config.cudaCapabilities or [ "75" ])))
  ]
  ++ lib.optionals rocmSupport [
    (cmakeFeature "CMAKE_HIP_ARCHITECTURES" (builtins.concatStringsSep ";" rocmGpuTargets))
  ]
  ++ lib.optionals rpcSupport [ (cmakeBool "CMAKE_SKIP_BUILD_RPATH" true) ];

  # a program that newer trees call by another name
  postInstall = if rpcSupport then "cp bin/rpc-server $out/bin/llama-rpc-server" else "";

  inherit said;
  installPhase = ''
    mkdir -p "$out/bin"
    cp -R "$said" "$out/said"
    {
      echo "#!/bin/sh"
      echo "cat $out/said/\$1"
    } > "$out/bin/llama-server"
    chmod 755 "$out/bin/llama-server"
  '';

  meta.mainProgram = "llama";
})
