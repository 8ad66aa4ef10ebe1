{
  description = "One spec for a running, pinned, memory-proven local LLM stack on llama.cpp";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      forAllSystems =
        outputs:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: outputs system nixpkgs.legacyPackages.${system});
    in
    {
      packages = forAllSystems (_system: pkgs: rec {
        llmdecl = pkgs.callPackage ./modules/package.nix { };
        default = llmdecl;
      });

      overlays.default = final: _prev: {
        llmdecl = final.callPackage ./modules/package.nix { };
      };

      # sets, not paths: what Nix 2.8 takes for a module. The path in it is what the module system
      # knows a module by that is imported twice, and where errors say that options are declared.
      nixosModules.default.imports = [ ./modules/nixos.nix ];
      homeModules.default.imports = [ ./modules/home-manager.nix ];

      lib = import ./modules/lib.nix // {
        compile = import ./modules/compile.nix;
      };

      templates.default = {
        path = ./examples/nixos-single-gpu;
        description = "A NixOS machine with one GPU and its local models";
      };

      checks = forAllSystems (
        system: pkgs:
        {
          package = self.packages.${system}.llmdecl;
        }
        # a virtual machine, where there is what runs one
        // lib.optionalAttrs (pkgs ? testers) {
          nixos = import ./tests/nix/vm {
            inherit pkgs;
            module = self.nixosModules.default;
          };
        }
      );

      devShells = forAllSystems (system: pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${system}.llmdecl.module ];
          packages = [
            pkgs.gnumake
            pkgs.python3
          ];
        };
      });

      # for the whole tree; of itself, it reads standard input in newer Nix
      formatter = forAllSystems (_system: pkgs: pkgs.nixfmt-tree or pkgs.nixfmt);
    };
}
