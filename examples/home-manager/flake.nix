{
  description = "A user's own models by home-manager";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    home-manager.url = "github:nix-community/home-manager";
    home-manager.inputs.nixpkgs.follows = "nixpkgs";
    llmdecl.url = "github:llmdecl/llmdecl";
    llmdecl.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      nixpkgs,
      home-manager,
      llmdecl,
      ...
    }:
    {
      homeConfigurations.me = home-manager.lib.homeManagerConfiguration {
        pkgs = nixpkgs.legacyPackages.x86_64-linux;
        modules = [
          llmdecl.homeModules.default
          ./llmdecl.nix
          {
            home.username = "me";
            home.homeDirectory = "/home/me";
            home.stateVersion = "26.05";
          }
        ];
      };
    };
}
