# `mkDerivation` as far as our Nix code sees it: final attributes, `overrideAttrs`, a shell builder.
{ lib, system }:
let
  strings = builtins.filter (input: input != null);
  bare =
    attributes:
    removeAttrs attributes [
      "meta"
      "passthru"
    ];

  mkDerivation =
    given:
    let
      attributesOf = if builtins.isFunction given then given else _: given;
      attributes = attributesOf (attributes // { finalPackage = package; });
      name = attributes.name or "${attributes.pname}-${attributes.version}";
      drv = derivation (
        {
          builder = "/bin/sh";
          args = [
            "-e"
            ./setup.sh
          ];
          PATH = "/usr/local/bin:/usr/bin:/bin";
          outputs = [ "out" ];
        }
        // bare attributes
        // {
          inherit name system;
          __ignoreNulls = true;
          nativeBuildInputs = strings (attributes.nativeBuildInputs or [ ]);
          buildInputs = strings (attributes.buildInputs or [ ]);
        }
      );
      package =
        bare attributes
        // drv
        // (attributes.passthru or { })
        // {
          inherit name;
          meta = attributes.meta or { };
          overrideAttrs =
            change:
            mkDerivation (
              final:
              let
                old = attributesOf final;
                first = change old;
              in
              old // (if builtins.isFunction first then change final old else first)
            );
        };
    in
    package;
in
{
  inherit mkDerivation;
}
