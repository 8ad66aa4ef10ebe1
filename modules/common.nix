# What the NixOS and the home-manager module share: options, the spec as the compiler gets it, the one derivation that compiles
# it, and what is said before anything is built. What a spec means is the compiler's to know.
{
  lib,
  pkgs,
  path, # of the module's options, for messages
  target, # "nixos" or "home-manager"
}:
let
  inherit (lib) mkOption types;
  format = pkgs.formats.json { };

  # every path literal in a value, as the option that holds it
  literals =
    at: value:
    if builtins.isPath value then
      [ at ]
    else if builtins.isAttrs value && !(value ? outPath) then
      lib.concatLists (lib.mapAttrsToList (name: literals "${at}.${name}") value)
    else if builtins.isList value then
      lib.concatLists (lib.imap0 (number: literals "${at}[${toString number}]") value)
    else
      [ ];

  # a table of the spec; what is none is the compiler's to say
  table = value: if builtins.isAttrs value then value else { };
  tables = value: lib.mapAttrs (_: table) (table value);
  over = added: value: if builtins.isAttrs value then value // added else value;

  # { host; port; } of `127.0.0.1:8080` and `[::1]:8080`; null for a unix socket
  parse =
    listen:
    let
      found = if builtins.isString listen then builtins.match "(.*):([0-9]+)" listen else null;
    in
    if found == null then
      null
    else
      {
        host = builtins.head found;
        port = lib.toIntBase10 (builtins.elemAt found 1);
      };
  loopback = [
    "127.0.0.1"
    "[::1]"
    "localhost"
  ];
in
rec {
  options = {
    enable = lib.mkEnableOption "llmdecl, a local LLM stack on llama.cpp";

    package = mkOption {
      type = types.package;
      default = pkgs.llmdecl or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalExpression "pkgs.llmdecl";
      description = "llmdecl itself: it compiles the stack in the build and is its router.";
    };

    settings = mkOption {
      type = types.attrsOf format.type;
      default = { };
      example = lib.literalExpression ''
        {
          host.ram = "64GiB";
          models.qwen = {
            source = "hf:Qwen/Qwen3-8B-GGUF";
            quantization = "Q4_K_M";
          };
          endpoints.main.listen = "127.0.0.1:11434";
        }
      '';
      description = ''
        The spec, as `llmdecl.toml` has it. Paths of files are strings; a package's path in a string
        is a dependency. `version` and `manager.kind` are added.
      '';
    };

    lockFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./llmdecl.lock";
      description = "What `llmdecl lock` wrote: revisions and digests of what `settings` names.";
    };

    engines = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.package = mkOption {
            type = types.package;
            example = lib.literalExpression "pkgs.llama-cpp-vulkan";
            description = "Has `bin/llama-server`, which the build asks for its version and flags.";
          };
        }
      );
      default = { };
      description = "Engines that are packages. It is never overridden here.";
    };

    devices = mkOption {
      type = types.nullOr (types.listOf format.type);
      default = null;
      example = lib.literalExpression ''
        [ { id = "gpu0"; backend = "cuda"; memory = "24GiB"; architecture = "sm_86"; } ]
      '';
      description = "Accelerators, as `settings.host.devices`. A build sees no hardware; null: none.";
    };

    weights = mkOption {
      type = types.enum [
        "fetch"
        "store"
        "path"
      ];
      default = "fetch";
      description = ''
        `fetch`: a unit downloads what the lock pins, and nothing waits for it. `store`: Nix does,
        and the system's closure has it. `path`: every source is a `file:` of this machine.
      '';
    };

    environmentFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/keys/hugging-face";
      description = "Variables for the unit that downloads, such as `HF_TOKEN`; not in the store.";
    };

    checkConfig = mkOption {
      type = types.enum [
        true
        "syntax-only"
        false
      ];
      default = true;
      description = ''
        What fails the build: all that does not check; only what is no spec; nothing. What fails no
        build fails the router's unit, which says it.
      '';
    };
  };

  # the spec of these options; `kind` is the manager
  spec =
    cfg: kind:
    let
      given = cfg.settings;
      packaged = lib.mapAttrs (_: engine: {
        kind = "llama.cpp";
        provider = "path";
        path = lib.getExe' engine.package "llama-server";
      }) cfg.engines;
    in
    {
      version = 1;
    }
    // given
    // {
      engines = over packaged (given.engines or { });
      manager = if given ? manager.kind then given.manager else over { inherit kind; } (given.manager or { });
    }
    // lib.optionalAttrs (cfg.devices != null) {
      host = over { inherit (cfg) devices; } (given.host or { });
    };

  # the whole stack; `words` are further arguments
  compile =
    cfg: kind: words:
    pkgs.runCommand "llmdecl-stack"
      {
        nativeBuildInputs = [ cfg.package ];
        spec = builtins.toJSON (spec cfg kind);
        passAsFile = [ "spec" ];
        preferLocalBuild = true;
      }
      ''
        mkdir stack
        cp "$specPath" stack/llmdecl.json
        ${lib.optionalString (cfg.lockFile != null) "cp ${cfg.lockFile} stack/llmdecl.lock"}
        llmdecl compile stack --output "$out" ${
          lib.escapeShellArgs (
            [
              "--target"
              target
              "--program"
              (lib.getExe' cfg.package "llmdecl")
              "--address-prefix"
              "${path}.settings"
              "--check"
              {
                "1" = "all";
                "syntax-only" = "syntax-only";
                "" = "none";
              }
              .${toString cfg.checkConfig}
            ]
            ++ words
            ++ lib.optionals (cfg.weights == "fetch") [ "--fetch" ]
            ++ lib.optionals (cfg.environmentFile != null) [
              "--environment-file"
              cfg.environmentFile
            ]
          )
        }
      '';

  # digest to path, of what Nix brings
  inStore =
    cfg:
    lib.optionalAttrs (cfg.weights == "store" && cfg.lockFile != null) (
      import ./weights.nix { inherit lib pkgs; } {
        lock = cfg.lockFile;
        endpoint = cfg.settings.sources.hf.endpoint or "https://huggingface.co";
      }
    );

  models = cfg: builtins.attrNames (table (cfg.settings.models or { }));
  endpoints = cfg: tables (cfg.settings.endpoints or { });
  manager = cfg: table (cfg.settings.manager or { });

  # whether a router of ours is before the models
  isRouted = cfg: (table (cfg.settings.router or { })).kind or "llmdecl" != "none";

  # { name; host; port; model; } of what listens on the network. Without a router, an endpoint of
  # several models is a port for each: what the lock says, null where it says none. A lock that is
  # built can't be read here.
  listeners =
    cfg:
    let
      locked =
        if cfg.lockFile == null || lib.isDerivation cfg.lockFile then
          { }
        else
          (import ./lib.nix).readLock cfg.lockFile;
      of =
        name: endpoint:
        let
          found = parse (endpoint.listen or null);
          named = endpoint.models or [ "*" ];
          own = if builtins.elem "*" named then models cfg else named;
        in
        if found == null then
          [ ]
        else if isRouted cfg || builtins.length own == 1 then
          [ (found // { inherit name; }) ]
        else
          map (model: {
            inherit name model;
            inherit (found) host;
            port = locked.ports.${model} or null;
          }) own;
    in
    lib.concatLists (lib.mapAttrsToList of (endpoints cfg));
  ports = cfg: builtins.filter (each: each.port != null) (listeners cfg);
  unlocked = cfg: map (each: each.model) (builtins.filter (each: each.port == null) (listeners cfg));
  openPorts = cfg: map (each: each.port) (builtins.filter (each: !builtins.elem each.host loopback) (ports cfg));

  # files that must not be in the store, where any user reads
  secrets =
    cfg:
    lib.mapAttrs' (
      name: endpoint:
      lib.nameValuePair "${path}.settings.endpoints.${name}.api-keys-file" (
        endpoint.api-keys-file or null
      )
    ) (endpoints cfg)
    // {
      "${path}.settings.sources.hf.token-file" = cfg.settings.sources.hf.token-file or null;
      "${path}.environmentFile" = cfg.environmentFile;
    };

  assertions =
    cfg: kind:
    [
      {
        assertion = cfg.settings.models or { } != { };
        message = "${path}.settings.models is empty, so there is nothing to serve";
      }
      {
        assertion = cfg.settings.endpoints or { } != { };
        message = "${path}.settings.endpoints is empty, so nobody can ask";
      }
      {
        assertion = cfg.lockFile != null || cfg.checkConfig != true;
        message = "${path}.lockFile is not set: `llmdecl lock` pins what ${path}.settings names";
      }
      {
        assertion = cfg.devices == null || !(cfg.settings.host or { } ? devices);
        message = "${path}.devices and ${path}.settings.host.devices are both set";
      }
      {
        assertion = (manager cfg).kind or kind == kind;
        message = "${path}.settings.manager.kind is ${builtins.toJSON (manager cfg).kind}, and here it is \"${kind}\"";
      }
    ]
    ++ map (name: {
      assertion = !(table (cfg.settings.engines or { }) ? ${name});
      message = "${path}.engines.${name} and ${path}.settings.engines.${name} are both set";
    }) (builtins.attrNames cfg.engines)
    ++ map (at: {
      assertion = false;
      message = "${at} is a path literal, which Nix would copy into its store; write it as a string";
    }) (literals "${path}.settings" cfg.settings)
    ++ lib.mapAttrsToList (at: file: {
      assertion = file == null || !lib.hasPrefix builtins.storeDir (toString file);
      message = "${at} is in Nix's store, where everybody can read it";
    }) (secrets cfg);

  # programs that Nix did not make run beside it, but not on NixOS
  foreign =
    cfg:
    lib.concatLists (
      lib.mapAttrsToList (
        name: engine:
        lib.optional (builtins.elem (engine.provider or "") [
          "pypi"
          "source"
        ]) "${path}.settings.engines.${name}.provider is \"${engine.provider}\": NixOS runs no such program by itself; ${path}.engines.${name}.package takes one of Nix"
      ) (tables (cfg.settings.engines or { }))
    );

  warnings =
    cfg:
    lib.concatLists (
      lib.mapAttrsToList (
        name: model:
        lib.optional (
          cfg.weights == "path" && !lib.hasPrefix "file:" (toString (model.source or "file:"))
        ) "${path}.weights is \"path\", and nothing brings ${path}.settings.models.${name}.source"
      ) (tables (cfg.settings.models or { }))
    );
}
