# What our Nix code uses of nixpkgs' `lib`, by the same names and with the same meaning.
let
  lib = rec {
    setFunctionArgs = f: args: {
      __functor = _: f;
      __functionArgs = args;
    };
    functionArgs = f: f.__functionArgs or (builtins.functionArgs f);

    optionals = condition: list: if condition then list else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    concatStringsSep = builtins.concatStringsSep;
    concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
    boolToString = value: if value then "true" else "false";

    genAttrs =
      names: f:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    splitString =
      separator: text: builtins.filter builtins.isString (builtins.split separator text);
    removePrefix =
      prefix: text:
      let
        length = builtins.stringLength prefix;
      in
      if builtins.substring 0 length text == prefix then builtins.substring length (-1) text else text;

    licenses.mit.spdxId = "MIT";
    platforms.linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];

    escapeShellArg =
      argument:
      let
        text = toString argument;
      in
      if builtins.match "[[:alnum:],._+:@%/-]+" text != null then
        text
      else
        "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";

    cmakeFeature = name: value: "-D${name}:STRING=${value}";
    cmakeBool = name: value: "-D${name}:BOOL=${if value then "TRUE" else "FALSE"}";

    makeOverridable =
      f: arguments:
      let
        result = f arguments;
      in
      result
      // {
        override = setFunctionArgs (more: makeOverridable f (arguments // more)) (functionArgs f);
      };

    callPackageWith =
      packages: file: more:
      let
        f = import file;
      in
      makeOverridable f (builtins.intersectAttrs (functionArgs f) packages // more);

    fix =
      f:
      let
        self = f self;
      in
      self;
    extends =
      overlay: f: final:
      let
        prev = f final;
      in
      prev // overlay final prev;
  };
in
lib
