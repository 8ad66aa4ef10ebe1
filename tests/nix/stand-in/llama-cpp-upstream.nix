# The same with the arguments of llama.cpp's own flake.
{
  lib,
  stdenv,
  config,
  useBlas ? true,
  useCuda ? config.cudaSupport or false,
  useRocm ? false,
  rocmGpuTargets ? "gfx906;gfx1030",
  useVulkan ? false,
  useRpc ? false,
  useWebUi ? true,
  llamaVersion ? "0.0.0",
  cmake,
  openssl,
}:
stdenv.mkDerivation {
  pname = "llama-cpp";
  version = llamaVersion;
  src = builtins.toFile "llama.cpp-of-a-flake" "its tree";
  nativeBuildInputs = [ cmake ];
  buildInputs = [ openssl ];
  cmakeFlags = [
    (lib.cmakeBool "LLAMA_BUILD_WEBUI" useWebUi)
    (lib.cmakeBool "GGML_NATIVE" false)
    (lib.cmakeBool "GGML_BLAS" useBlas)
    (lib.cmakeBool "GGML_CUDA" useCuda)
    (lib.cmakeBool "GGML_HIP" useRocm)
    (lib.cmakeBool "GGML_VULKAN" useVulkan)
    (lib.cmakeBool "GGML_RPC" useRpc)
  ]
  ++ lib.optionals useRocm [ (lib.cmakeFeature "CMAKE_HIP_ARCHITECTURES" rocmGpuTargets) ];
}
