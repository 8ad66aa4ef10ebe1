# nixpkgs' module system as far as our modules use it: own code, the same names. Stricter in one thing: types are checked where
# nixpkgs would coerce.
{ lib }:
let
  inherit (builtins) attrNames concatLists concatMap elem filter foldl' head isAttrs isList isString length mapAttrs;

  typeOf = value: if isAttrs value then value._type or null else null;
  at = loc: builtins.concatStringsSep "." loc;

  # definitions of a level, with conditions and priorities on their members
  pushDown =
    definition:
    {
      merge = concatMap pushDown definition.contents;
      "if" = map (mapAttrs (_: value: self.mkIf definition.condition value)) (pushDown definition.content);
      override = map (mapAttrs (_: value: self.mkOverride definition.priority value)) (pushDown definition.content);
    }
    .${toString (typeOf definition)} or [ definition ];

  discharge =
    priority: value:
    {
      merge = concatMap (discharge priority) value.contents;
      "if" = if value.condition then discharge priority value.content else [ ];
      override = discharge value.priority value.content;
    }
    .${toString (typeOf value)} or [ { inherit priority value; } ];

  strongest =
    values:
    let
      all = concatMap (discharge 100) values;
      least = foldl' (a: each: if each.priority < a then each.priority else a) 9999 all;
    in
    map (each: each.value) (filter (each: each.priority == least) all);

  mergeType =
    loc: type: values:
    let
      kept = strongest values;
      wrong = filter (value: !type.check value) kept;
    in
    if wrong != [ ] then
      throw "A definition for option `${at loc}' is not of type `${type.name}'."
    else
      type.merge loc kept;

  evalLevel =
    loc: options: definitions:
    let
      known = attrNames options;
      strange = filter (name: !elem name known) (concatMap attrNames definitions);
    in
    if strange != [ ] then
      throw "The option `${at (loc ++ [ (head strange) ])}' does not exist."
    else
      mapAttrs (
        name: option:
        let
          here = loc ++ [ name ];
          values = concatMap (each: if each ? ${name} then [ each.${name} ] else [ ]) definitions;
          given = values ++ (if option ? default then [ (self.mkOverride 1500 option.default) ] else [ ]);
        in
        if typeOf option != "option" then
          evalLevel here option (concatMap pushDown values)
        else if strongest given == [ ] && !(option.type.empty or false) then
          throw "The option `${at here}' was accessed but has no value defined."
        else
          (option.apply or (value: value)) (mergeType here option.type given)
      ) options;

  # every module once: one of a path is known by it, another by its place in its parent
  collect =
    arguments: parent: modules:
    let
      named = self.imap1 (number: module: {
        inherit module;
        key = if builtins.isPath module || isString module then toString module else "${parent}:${toString number}";
      }) modules;
      expand =
        { module, key }:
        let
          imported = if builtins.isPath module || isString module then import module else module;
          value = if builtins.isFunction imported then imported arguments else imported;
          whole = value ? config || value ? options;
        in
        [
          {
            inherit key;
            options = if whole then value.options or { } else { };
            config = if whole then value.config or { } else removeAttrs value [ "imports" "meta" "_file" ];
          }
        ]
        ++ self.optional (value ? meta) {
          key = "${key}:meta";
          options = { };
          config.meta = value.meta;
        }
        ++ collect arguments key (value.imports or [ ]);
    in
    foldl' (
      all: each: if builtins.any (other: other.key == each.key) all then all else all ++ [ each ]
    ) [ ] (concatMap expand named);

  both =
    loc: a: b:
    a
    // mapAttrs (
      name: value:
      if !(a ? ${name}) then
        value
      else if typeOf value == "option" || typeOf a.${name} == "option" then
        throw "The option `${at (loc ++ [ name ])}' is already declared."
      else
        both (loc ++ [ name ]) a.${name} value
    ) b;
  declared = loc: parts: foldl' (both loc) { } (map (each: each.options) parts);

  one =
    name: check:
    {
      inherit name check;
      merge =
        loc: values:
        if builtins.all (value: value == head values) values then
          head values
        else
          throw "The option `${at loc}' has conflicting definition values.";
    };
  zip =
    type: loc: values:
    let
      levels = concatMap pushDown values;
      names = concatMap attrNames levels;
      of = name: concatMap (each: if each ? ${name} then [ each.${name} ] else [ ]) levels;
      present = filter (name: strongest (of name) != [ ]) names;
    in
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = mergeType (loc ++ [ name ]) type (of name);
      }) present
    );

  json = {
    name = "JSON value";
    check = value: !builtins.isFunction value;
    merge =
      loc: values:
      if builtins.all (value: isAttrs value && !(value ? outPath)) values then
        zip json loc values
      else if builtins.all isList values then
        concatLists values
      else
        (one "JSON value" (_: true)).merge loc values;
  };

  types = {
    inherit json;
    bool = one "boolean" builtins.isBool;
    int = one "signed integer" builtins.isInt;
    port = one "16 bit port" (value: builtins.isInt value && value >= 0 && value < 65536);
    str = one "string" isString;
    path = one "absolute path" (value: builtins.isPath value || (isString value && builtins.substring 0 1 value == "/") || value ? outPath);
    package = one "package" (value: isAttrs value && value ? outPath);
    raw = one "raw value" (_: true);
    enum = values: one "one of ${builtins.toJSON values}" (value: elem value values);
    nullOr = type: {
      name = "null or ${type.name}";
      check = value: value == null || type.check value;
      merge = loc: values: if builtins.all (value: value == null) values then null else type.merge loc values;
    };
    listOf = type: {
      name = "list of ${type.name}";
      check = isList;
      empty = true;
      merge = _: values: concatLists values;
    };
    attrsOf = type: {
      name = "attribute set of ${type.name}";
      check = isAttrs;
      empty = true;
      merge = zip type;
    };
    submodule = module: {
      name = "submodule";
      check = isAttrs;
      empty = true;
      merge =
        loc: values:
        let
          parts = collect { inherit lib; } "submodule" [ module ];
        in
        evalLevel loc (declared loc parts) (concatMap pushDown (map (each: each.config) parts ++ values));
    };
  };

  self = lib // {
    inherit types;
    mkOption = attributes: attributes // { _type = "option"; };
    mkEnableOption =
      name:
      self.mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${name}.";
      };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkDefault = self.mkOverride 1000;
    mkForce = self.mkOverride 50;
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };
    literalMD = text: {
      _type = "literalMD";
      inherit text;
    };

    optional = condition: value: if condition then [ value ] else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    filterAttrs =
      test: set:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = set.${name};
        }) (filter (name: test name set.${name}) (attrNames set))
      );
    mapAttrs' =
      f: set: builtins.listToAttrs (map (name: f name set.${name}) (attrNames set));
    nameValuePair = name: value: { inherit name value; };
    concatMapAttrs = f: set: foldl' (all: name: all // f name set.${name}) { } (attrNames set);
    isDerivation = value: typeOf value == "derivation" || value.type or null == "derivation";
    inherit (builtins) concatLists concatMap genList listToAttrs mapAttrs;
    concatStrings = builtins.concatStringsSep "";
    imap1 = f: list: builtins.genList (n: f (n + 1) (builtins.elemAt list n)) (length list);
    imap0 = f: list: builtins.genList (n: f n (builtins.elemAt list n)) (length list);
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    toIntBase10 = text: builtins.fromJSON text;
    unique = foldl' (all: each: if elem each all then all else all ++ [ each ]) [ ];
    escapeShellArgs = lib.concatMapStringsSep " " lib.escapeShellArg;
    getExe' = package: name: "${package}/bin/${name}";

    # `options`, `config`, and the package set as an argument
    evalModules =
      {
        modules,
        specialArgs ? { },
      }:
      let
        arguments = specialArgs // {
          lib = self;
          inherit config options;
        };
        parts = collect arguments "anonymous" modules;
        options = declared [ ] parts;
        config = evalLevel [ ] options (concatMap pushDown (map (each: each.config) parts));
      in
      {
        inherit config options;
      };
  };
in
self
