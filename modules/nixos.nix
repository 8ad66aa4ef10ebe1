# `services.llmdecl`: the stack of `settings` as units of the system. One derivation compiles it and writes finished units;
# nothing of its output is read at evaluation.
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
    target = "nixos";
  };
  inherit (lib) mkIf mkOption types;

  compiled = common.compile cfg "systemd" [
    "--state"
    cfg.stateDir
    "--store"
    cfg.modelsDir
    "--user"
    cfg.user
    "--group"
    cfg.group
  ];

  # what else may listen where we do
  others = {
    "services.ollama" = config.services.ollama or { };
    "services.llama-swap" = config.services.llama-swap or { };
    "services.llama-cpp" = config.services.llama-cpp or { };
  };
  # in this order: a renamed option warns whoever reads it
  portOf = other: other.settings.port or other.port or null;
  clashes = lib.concatLists (
    lib.mapAttrsToList (
      name: other:
      map (endpoint: {
        assertion = !(other.enable or false && portOf other == endpoint.port);
        message =
          "services.llmdecl.settings.endpoints.${endpoint.name}.listen has port "
          + "${toString endpoint.port}, and so has ${name}";
      }) (common.ports cfg)
    ) others
  );

  hidden = [
    "/home"
    "/root"
    "/run/user"
    "/tmp"
  ];
  folders = [
    "stateDir"
    "modelsDir"
  ];
  isHidden = folder: builtins.any (each: folder == each || lib.hasPrefix "${each}/" folder) hidden;
in
{
  options.services.llmdecl = common.options // {
    user = mkOption {
      type = types.str;
      default = "llmdecl";
      description = "The account of router and models; made when it is the default.";
    };
    group = mkOption {
      type = types.str;
      default = "llmdecl";
      description = "Its group; made when it is the default.";
    };
    stateDir = mkOption {
      type = types.str;
      default = "/var/lib/llmdecl";
      description = "What the router measured; below `/var/lib`.";
    };
    modelsDir = mkOption {
      type = types.str;
      default = "${cfg.stateDir}/store";
      defaultText = lib.literalExpression ''"''${config.services.llmdecl.stateDir}/store"'';
      description = "Where weights are. Units see no homes, so it can't be in one.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to open the ports of endpoints that listen beyond loopback.";
    };
    compiled = mkOption {
      type = types.package;
      readOnly = true;
      default = compiled;
      defaultText = lib.literalMD "what `llmdecl compile` wrote";
      description = "Units, rights and the router's configuration, for looking at.";
    };
    spec = mkOption {
      type = types.raw;
      readOnly = true;
      internal = true;
      default = common.spec cfg "systemd";
      defaultText = lib.literalMD "`settings` with engines, devices and manager";
      description = "The spec as it is compiled; `llmdecl check --nix` reads it.";
    };
  };

  config = mkIf cfg.enable {
    assertions =
      common.assertions cfg "systemd"
      ++ clashes
      ++ map (option: {
        assertion = !isHidden cfg.${option};
        message = "services.llmdecl.${option} is ${cfg.${option}}, which no unit of the stack can see";
      }) folders
      ++ map (option: {
        assertion = builtins.match "/[[:alnum:]/._+@-]*" cfg.${option} != null;
        message = "services.llmdecl.${option} is ${cfg.${option}}; paths in units are letters, digits and /._+@-";
      }) folders
      ++ [
        {
          assertion = lib.hasPrefix "/var/lib/" cfg.stateDir;
          message = "services.llmdecl.stateDir is ${cfg.stateDir}, and has to be below /var/lib";
        }
      ];
    warnings =
      common.foreign cfg
      ++ common.warnings cfg
      ++ lib.optionals cfg.openFirewall (
        map (
          model:
          "services.llmdecl.openFirewall opens no port for ${model}: services.llmdecl.lockFile has none, "
          + "and `llmdecl lock` writes it"
        ) (common.unlocked cfg)
        ++ lib.optional (common.openPorts cfg == [ ] && common.unlocked cfg == [ ])
          "services.llmdecl.openFirewall opens nothing: every endpoint listens on loopback or a socket"
      );

    # units by content: an unchanged model's unit is unchanged bytes. No `systemd.services.*` here: it
    # would put a PATH beside each unit that changes with nixpkgs.
    systemd.packages = [ compiled ];
    systemd.targets.llmdecl.wantedBy = [ "multi-user.target" ];
    systemd.tmpfiles.packages = [ compiled ];
    systemd.tmpfiles.rules = lib.mapAttrsToList (
      digest: folder: "L+ ${cfg.modelsDir}/weights/${digest} - - - - ${folder}"
    ) (common.inStore cfg);
    environment.etc.llmdecl.source = "${compiled}/etc/llmdecl";

    # polkit reads rules in the system's path, and is restarted when that changes. Without a router
    # nobody asks for anything.
    security.polkit.enable = mkIf (common.isRouted cfg) true;
    environment.systemPackages = [ cfg.package ] ++ lib.optional (common.isRouted cfg) compiled;

    users.users = mkIf (cfg.user == "llmdecl") {
      llmdecl = {
        isSystemUser = true;
        group = cfg.group;
        home = cfg.stateDir;
        description = "llmdecl";
      };
    };
    users.groups = mkIf (cfg.group == "llmdecl") { llmdecl = { }; };

    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall (common.openPorts cfg);
  };

  meta.maintainers = [ { name = "llmdecl's maintainers"; } ];
}
