# `services.llmdecl` of home-manager: the same stack as units of the user's own manager.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.llmdecl;
  common = import ./common.nix {
    inherit lib pkgs;
    path = "services.llmdecl";
    target = "home-manager";
  };
  inherit (lib) mkIf mkOption types;

  compiled = common.compile cfg "systemd-user" [
    "--state"
    cfg.stateDir
    "--store"
    cfg.modelsDir
    "--socket-proxy"
    "${pkgs.systemd}/lib/systemd/systemd-socket-proxyd"
  ];

  # names are of the settings, contents of the derivation
  units = [
    "llmdecl.target"
    "llmdecl.slice"
  ]
  ++ map (name: "llmdecl-model-${name}.service") (common.models cfg)
  ++ (
    if common.isRouted cfg then
      [ "llmdecl-router.service" ]
    else
      lib.concatMap (name: [
        "llmdecl-model-${name}.socket"
        "llmdecl-proxy-${name}.service"
      ]) (common.models cfg)
  )
  ++ lib.optionals ((common.manager cfg).socket-activation or false == true) (
    map (name: "llmdecl-endpoint-${name}.socket") (builtins.attrNames (common.endpoints cfg))
  )
  ++ lib.optionals (cfg.weights == "fetch") [
    "llmdecl-fetch.service"
    "llmdecl-fetch.service.d/lock.conf"
  ];
  unit = name: "${compiled}/lib/systemd/user/${name}";
in
{
  options.services.llmdecl = common.options // {
    stateDir = mkOption {
      type = types.str;
      default = "${config.xdg.stateHome}/llmdecl";
      defaultText = lib.literalExpression ''"''${config.xdg.stateHome}/llmdecl"'';
      description = "What the router measured.";
    };
    modelsDir = mkOption {
      type = types.str;
      default = "${config.xdg.dataHome}/llmdecl";
      defaultText = lib.literalExpression ''"''${config.xdg.dataHome}/llmdecl"'';
      description = "Where weights are.";
    };
    compiled = mkOption {
      type = types.package;
      readOnly = true;
      default = compiled;
      defaultText = lib.literalMD "what `llmdecl compile` wrote";
      description = "Units and the router's configuration, for looking at.";
    };
    spec = mkOption {
      type = types.raw;
      readOnly = true;
      internal = true;
      default = common.spec cfg "systemd-user";
      defaultText = lib.literalMD "`settings` with engines, devices and manager";
      description = "The spec as it is compiled; `llmdecl check --nix` reads it.";
    };
  };

  config = mkIf cfg.enable {
    assertions = common.assertions cfg "systemd-user" ++ [
      {
        assertion = cfg.checkConfig == true;
        message = "services.llmdecl.checkConfig: names of units are the settings', so they have to check";
      }
    ];
    warnings =
      lib.optionals (!(config.targets.genericLinux.enable or false)) (common.foreign cfg)
      ++ common.warnings cfg;

    home.packages = [ cfg.package ];
    xdg.configFile =
      lib.listToAttrs (
        map (name: lib.nameValuePair "systemd/user/${name}" { source = unit name; }) units
      )
      // {
        "systemd/user/default.target.wants/llmdecl.target".source = unit "llmdecl.target";
        "llmdecl".source = "${compiled}/etc/llmdecl";
        "user-tmpfiles.d/llmdecl.conf" = {
          source = "${compiled}/share/user-tmpfiles.d/llmdecl.conf";
          onChange = "${pkgs.systemd}/bin/systemd-tmpfiles --user --create";
        };
      };
    systemd.user.tmpfiles.rules = lib.mapAttrsToList (
      digest: folder: "L+ ${cfg.modelsDir}/weights/${digest} - - - - ${folder}"
    ) (common.inStore cfg) ++ [ "d ${cfg.stateDir}/measured 0755 - - -" ];
  };

  meta.maintainers = [ { name = "llmdecl's maintainers"; } ];
}
