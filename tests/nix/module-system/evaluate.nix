# Our module evaluated with the given configuration: its values, and what assertions failed.
{
  top, # the repository
  python, # that runs llmdecl
  configuration, # a file: a module
  engine ? "/bin/false", # stands in for llama-server
  module ? "nixos",
  nixpkgs ? import ../stand-in { },
}:
let
  lib = import ./. { inherit (nixpkgs) lib; };
  pkgs = nixpkgs // {
    inherit lib;
    formats.json = _: { type = lib.types.json; };
    linkFarm =
      name: entries:
      nixpkgs.runCommand name { } (
        "mkdir $out\n" + lib.concatMapStringsSep "\n" (each: "ln -s ${each.path} $out/${each.name}") entries
      );
    # as nixpkgs' stdenv does, with the programs of inputs
    runCommand =
      name: attributes: command:
      nixpkgs.runCommand name attributes (
        lib.concatMapStringsSep "" (each: "PATH=${each}/bin:$PATH\n") (attributes.nativeBuildInputs or [ ]) + command
      );
    llama-cpp = lib.makeOverridable (
      _:
      pkgs.runCommand "llama-cpp" { } "mkdir -p $out/bin; cp ${builtins.path { path = engine; }} $out/bin/llama-server"
    ) { };
    systemd = nixpkgs.runCommand "systemd" { } "mkdir -p $out/bin";
    # llmdecl of this repository by the tests' own Python
    llmdecl = nixpkgs.runCommand "llmdecl" { } ''
      mkdir -p $out/bin
      printf '#!/bin/sh\nPYTHONPATH=%s exec %s -m llmdecl "$@"\n' ${toString top} ${python} > $out/bin/llmdecl
      chmod 755 $out/bin/llmdecl
    '';
  };
  # as users import it: what the flake has
  flake = (import (top + "/flake.nix")).outputs {
    self = flake;
    inherit nixpkgs;
  };
  ours = {
    nixos = flake.nixosModules.default;
    home-manager = flake.homeModules.default;
  };
  evaluated = lib.evalModules {
    specialArgs = { inherit pkgs; };
    modules = [
      ours.${module}
      (./. + "/${module}.nix")
      configuration
    ];
  };
in
evaluated.config // { failed = map (each: each.message) (builtins.filter (each: !each.assertion) evaluated.config.assertions); }
