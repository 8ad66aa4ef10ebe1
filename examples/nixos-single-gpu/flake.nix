{
  description = "A NixOS machine with one GPU and its local models";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    llmdecl.url = "github:llmdecl/llmdecl";
    llmdecl.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, llmdecl, ... }:
    {
      nixosConfigurations.atlas = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          llmdecl.nixosModules.default
          ./llmdecl.nix
          { nixpkgs.config.allowUnfree = true; } # CUDA
          # ./configuration.nix: the rest of the machine
        ];
      };
    };
}
