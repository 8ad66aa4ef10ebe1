# Options of NixOS that our module sets or reads.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  list = mkOption {
    type = types.listOf types.raw;
    default = [ ];
  };
  set = mkOption {
    type = types.attrsOf types.json;
    default = { };
  };
  service = {
    enable = lib.mkEnableOption "it";
    port = mkOption {
      type = types.port;
      default = 11434;
    };
  };
in
{
  options = {
    assertions = list;
    warnings = list;
    meta.maintainers = list;
    environment.etc = set;
    environment.systemPackages = list;
    networking.firewall.allowedTCPPorts = list;
    security.polkit.enable = lib.mkEnableOption "polkit";
    services.ollama = service;
    services.llama-swap = service;
    # `port` was renamed: whoever reads it is warned, which is an error here
    services.llama-cpp.enable = lib.mkEnableOption "it";
    services.llama-cpp.settings.port = service.port;
    services.llama-cpp.port = mkOption {
      type = types.raw;
      default = null;
      apply = _: throw "The option `services.llama-cpp.port' is renamed to `services.llama-cpp.settings.port'.";
    };
    systemd.packages = list;
    systemd.targets = set;
    systemd.tmpfiles.packages = list;
    systemd.tmpfiles.rules = list;
    users.users = set;
    users.groups = set;
  };
}
