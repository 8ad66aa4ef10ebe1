# `lib.compile { pkgs; settings; lockFile; ... }`: the package of units that the NixOS module would use, without the module.
{
  pkgs,
  settings,
  lockFile,
  package ? pkgs.llmdecl or (pkgs.callPackage ./package.nix { }),
  engines ? { },
  devices ? null,
  fetch ? true,
  environmentFile ? null,
  checkConfig ? true,
  stateDir ? "/var/lib/llmdecl",
  modelsDir ? "${stateDir}/store",
}:
let
  common = import ./common.nix {
    inherit (pkgs) lib;
    inherit pkgs;
    path = "lib.compile";
    target = "nixos";
  };
in
common.compile {
  inherit
    settings
    lockFile
    package
    engines
    devices
    environmentFile
    checkConfig
    ;
  weights = if fetch then "fetch" else "path";
} "systemd" [
  "--state"
  stateDir
  "--store"
  modelsDir
]
