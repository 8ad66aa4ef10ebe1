{
  # `llmdecl.lock` as a value: { weights, engines, ports }, sources and engines by name. It is read
  # at evaluation: a file of the configuration, never what a derivation makes.
  readLock =
    path:
    let
      lock = builtins.fromJSON (builtins.readFile path);
      schema = 2;
    in
    if lock.schema or null != schema then
      throw (
        "${toString path} has schema ${builtins.toJSON (lock.schema or null)}, and this llmdecl "
        + "reads ${toString schema}; `llmdecl lock` writes it anew"
      )
    else
      removeAttrs lock [ "schema" ];
}
