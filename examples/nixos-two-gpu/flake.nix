{
  description = "A NixOS machine with two GPUs that serves its network";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    llmdecl.url = "github:llmdecl/llmdecl";
    llmdecl.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, llmdecl, ... }:
    {
      nixosConfigurations.titan = nixpkgs.lib.nixosSystem {
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
