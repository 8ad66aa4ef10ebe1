{
  description = "a nixpkgs for tests";
  outputs =
    { self }:
    let
      system = "x86_64-linux";
    in
    {
      lib = import ./lib.nix;
      legacyPackages.${system} = import ./default.nix { inherit system; };
    };
}
