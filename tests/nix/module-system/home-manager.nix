# Options of home-manager that our module sets or reads.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  list = mkOption {
    type = types.listOf types.raw;
    default = [ ];
  };
  folder =
    default:
    mkOption {
      type = types.str;
      inherit default;
    };
in
{
  options = {
    assertions = list;
    warnings = list;
    meta.maintainers = list;
    home.packages = list;
    systemd.user.tmpfiles.rules = list;
    targets.genericLinux.enable = lib.mkEnableOption "what other distributions need";
    xdg.configFile = mkOption {
      type = types.attrsOf types.json;
      default = { };
    };
    xdg.dataHome = folder "/home/me/.local/share";
    xdg.stateHome = folder "/home/me/.local/state";
  };
}
