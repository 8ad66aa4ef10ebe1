# A nixpkgs of a few packages, for tests without a network: own code, the same names.
{
  system ? builtins.currentSystem,
  config ? { },
  overlays ? [ ],
  said ? ./said,
}:
let
  lib = import ./lib.nix;
  stdenv = import ./stdenv.nix { inherit lib system; };

  # a program that builds need by name only
  tool = name: stdenv.mkDerivation { pname = name; version = "1"; installPhase = "mkdir $out"; };

  fixedOutput =
    name: hash: mode:
    derivation {
      inherit name system;
      builder = "/bin/false";
      outputHash = hash;
      outputHashAlgo = "sha256";
      outputHashMode = mode;
    };

  packages = final: {
    inherit lib stdenv config system said;
    callPackage = lib.callPackageWith final;

    runCommand =
      name: attributes: buildCommand:
      stdenv.mkDerivation (attributes // { inherit name buildCommand; });
    # these find what a test has put into the store, and bring nothing
    fetchurl =
      {
        url,
        hash ? "",
        sha256 ? "",
        name ? baseNameOf url,
      }:
      fixedOutput name (if hash == "" then sha256 else hash) "flat" // { inherit url hash; };
    requireFile =
      {
        name,
        sha256,
        message,
        hashMode ? "flat",
      }:
      fixedOutput name sha256 hashMode // { inherit message; };
    fetchNpmDeps =
      { name, hash, ... }:
      stdenv.mkDerivation {
        inherit name hash;
        installPhase = "mkdir $out";
      };

    cmake = tool "cmake";
    makeWrapper = tool "make-wrapper"; # a function of setup.sh
    nodejs_latest = tool "nodejs";
    npmHooks.npmConfigHook = tool "npm-config-hook";
    openssl = tool "openssl";
    unzip = tool "unzip";
    cudaPackages = { };
    rocmPackages = { };

    python3 = tool "python3" // {
      withPackages = f: tool "python3-env" // { modules = f final.python3.pkgs; };
      pkgs = lib.genAttrs [
        "click"
        "dbus-fast"
        "filelock"
        "hatchling"
        "httptools"
        "msgspec"
        "pip"
        "platformdirs"
        "prometheus-client"
        "pydantic"
        "rich"
        "supervisor"
        "urllib3"
        "uvloop"
      ] tool
      // {
        # the package's files as they come, without a Python
        buildPythonPackage =
          attributes:
          stdenv.mkDerivation (
            removeAttrs attributes [
              "build-system"
              "dependencies"
            ]
            // {
              nativeBuildInputs = attributes.build-system;
              buildInputs = attributes.dependencies;
              installPhase = "mkdir $out; cp -R . $out/";
            }
          );
      };
    };
    mkShell = attributes: stdenv.mkDerivation ({ name = "shell"; installPhase = "mkdir $out"; } // attributes);
    gnumake = tool "gnumake";
    nixfmt-tree = tool "nixfmt-tree";

    # what goes wrong with packages
    broken = stdenv.mkDerivation {
      name = "broken";
      installPhase = "echo it does not compile; exit 3";
    };
    slow = stdenv.mkDerivation {
      name = "slow";
      installPhase = "sleep 60; mkdir $out";
    };
    unfree = throw "Package `unfree` has an unfree license, refusing to evaluate.";

    llama-cpp = final.callPackage ./llama-cpp.nix { };
    llama-cpp-vulkan = final.llama-cpp.override { vulkanSupport = true; };
    llama-cpp-upstream = final.callPackage ./llama-cpp-upstream.nix { };
  };
in
lib.fix (builtins.foldl' (all: overlay: lib.extends overlay all) packages overlays)
