{
  description = "a nixpkgs for tests";
  outputs =
    { self }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs lib.platforms.linux (system: import ./default.nix { inherit system; });
    };
}
