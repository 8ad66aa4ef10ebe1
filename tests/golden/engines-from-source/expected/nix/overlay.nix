# Engines of this stack as packages over nixpkgs' `llama-cpp`, by llmdecl from its lock:
#   nixpkgs.overlays = [ (import ./overlay.nix) ];
#
# `src` is llama.cpp's tree by the hash of its Nix archive, which llmdecl works out itself, without
# the `.git` that a source distribution may carry and that leads nowhere. The
# `fetchFromGitHub` of nixpkgs' package asks git for the commit before it hashes, so its hash is
# known to nobody but Nix.
final: prev:
let
  inherit (prev) lib;

  tree =
    {
      name,
      archive,
      root,
      hash,
      unpack,
    }:
    prev.runCommand name
      {
        inherit archive root;
        nativeBuildInputs = unpack.inputs prev;
        outputHashMode = "recursive";
        outputHashAlgo = "sha256";
        outputHash = hash;
      }
      ''
        mkdir unpacked
        ${unpack.command}
        chmod -R u+w unpacked
        rm -rf "unpacked/$root/.git"
        mv "unpacked/$root" "$out"
      '';

  tar = {
    inputs = _: [ ];
    command = ''tar --extract --file "$archive" --directory unpacked'';
  };
  zip = {
    inputs = packages: [ packages.unzip ];
    command = ''unzip -q "$archive" -d unpacked'';
  };

  # by their names in nixpkgs, then in llama.cpp's own flake
  switches = {
    blas = [
      "blasSupport"
      "useBlas"
    ];
    cuda = [
      "cudaSupport"
      "useCuda"
    ];
    hip = [
      "rocmSupport"
      "useRocm"
    ];
    metal = [
      "metalSupport"
      "useMetalKit"
    ];
    sycl = [ "syclSupport" ];
    vulkan = [
      "vulkanSupport"
      "useVulkan"
    ];
  };

  engine =
    {
      name,
      version,
      src,
      backends,
      dispatch,
      cmakeFlags,
      spacedFlags,
    }:
    let
      takes = lib.functionArgs prev.llama-cpp.override;
      absent = builtins.filter (
        backend: !(builtins.any (argument: takes ? ${argument}) switches.${backend})
      ) backends;
      wanted =
        builtins.listToAttrs (
          builtins.concatMap (
            switch:
            map (argument: {
              name = argument;
              value = builtins.elem switch backends;
            }) switches.${switch}
          ) (builtins.attrNames switches)
        )
        // {
          cpuArchDynamicDispatch = dispatch;
          useWebUi = false;
          # GGML_RPC is a flag like others. Told so, nixpkgs' package copies a server that newer
          # builds call by another name, and install themselves.
          rpcSupport = false;
          useRpc = false;
        };
      package = prev.llama-cpp.override (builtins.intersectAttrs takes wanted);
      label = input: "${input.pname or input.name or ""}-";
      isOurs = input: builtins.match "(nodejs|npm)-.*" (label input) == null;
    in
    if takes == { } then
      throw "${name}: `llama-cpp` here does not tell its arguments, so its backends can't be set"
    else if absent != [ ] then
      throw "${name}: `llama-cpp` here has no argument for ${builtins.concatStringsSep ", " absent}"
    else
      package.overrideAttrs (old: {
        inherit version src;
        # what these do is for nixpkgs' own version
        patches = [ ];
        postPatch = "";
        npmDeps = null;
        nativeBuildInputs = builtins.filter isOurs (old.nativeBuildInputs or [ ]);
        cmakeFlags = (old.cmakeFlags or [ ]) ++ cmakeFlags;
        preConfigure =
          if spacedFlags == [ ] then
            ""
          else
            "cmakeFlagsArray+=(${lib.concatMapStringsSep " " lib.escapeShellArg spacedFlags})\n";
      });
in
{
  # llama.cpp b10434, for vulkan
  llmdecl-fast = engine {
    name = "llmdecl-fast";
    version = "10434";
    src = tree {
      name = "llama.cpp-b10434-source";
      archive = prev.fetchurl {
        name = "b10434.tar.gz";
        url = "https://github.com/ggml-org/llama.cpp/archive/refs/tags/b10434.tar.gz";
        hash = "sha256-q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
      };
      root = "llama.cpp-b10434";
      hash = "sha256-9JU57TfOCTX74o+5as7nehweZNlvepABNG5e/Hb2sQ0=";
      unpack = tar;
    };
    backends = [
      "vulkan"
    ];
    dispatch = true;
    cmakeFlags = [
      "-DGGML_BACKEND_DL=ON"
      "-DGGML_CCACHE=OFF"
      "-DGGML_CPU_ALL_VARIANTS=ON"
      "-DGGML_NATIVE=OFF"
      "-DGGML_OPENMP=ON"
      "-DGGML_VULKAN=ON"
      "-DLLAMA_BUILD_COMMIT=0c1e57000"
      "-DLLAMA_BUILD_NUMBER=10434"
      "-DLLAMA_BUILD_UI=OFF"
      "-DLLAMA_OPENSSL=OFF"
      "-DLLAMA_USE_PREBUILT_UI=OFF"
    ];
    spacedFlags = [ ];
  };
  # llama.cpp 0.3.36, for cpu
  llmdecl-pinned = engine {
    name = "llmdecl-pinned";
    version = "0.3.36";
    src = tree {
      name = "llama.cpp-0.3.36-source";
      archive = prev.fetchurl {
        name = "llama_cpp_python-0.3.36.tar.gz";
        url = "mirror://pypi/l/llama_cpp_python/llama_cpp_python-0.3.36.tar.gz";
        hash = "sha256-zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0=";
      };
      root = "llama_cpp_python-0.3.36/vendor/llama.cpp";
      hash = "sha256-AZNuEwiNbc0Z1A9+bDn5osXePB3JpJ4F/zvTHwhx38Y=";
      unpack = tar;
    };
    backends = [ ];
    dispatch = false;
    cmakeFlags = [
      "-DGGML_CCACHE=OFF"
      "-DGGML_LTO=ON"
      "-DGGML_NATIVE=OFF"
      "-DLLAMA_BUILD_COMMIT=unknown"
      "-DLLAMA_BUILD_NUMBER=0"
      "-DLLAMA_BUILD_UI=OFF"
      "-DLLAMA_USE_PREBUILT_UI=OFF"
    ];
    spacedFlags = [
      "-DCMAKE_CXX_FLAGS=-O2 -g"
    ];
  };
}
