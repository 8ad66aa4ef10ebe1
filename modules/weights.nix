# `weights = "store"`: what the lock pins as paths of Nix's store, by the names that llama.cpp looks for. The lock is a file
# of the configuration, so reading it is no import from a derivation.
{ lib, pkgs }:
{
  lock,
  endpoint, # of Hugging Face
}:
let
  inherit (import ./lib.nix) readLock;

  address =
    name: weights: file:
    let
      kind = weights.origin.kind or "none";
      written = builtins.head (lib.splitString "#" weights.source);
    in
    if kind == "hf" then
      "${endpoint}/${weights.origin.repository}/resolve/${weights.origin.revision}/${file.path}"
    else if kind == "https" then
      "${builtins.dirOf written}/${file.name}"
    else
      throw "services.llmdecl.weights is \"store\", and `${name}` is no file on the web; use \"fetch\"";

  inStore =
    number: count:
    let
      digits = value: lib.concatStrings (lib.genList (_: "0") (5 - builtins.stringLength (toString value))) + toString value;
    in
    if count == 1 then "model.gguf" else "model-${digits number}-of-${digits count}.gguf";

  folder =
    name: weights:
    pkgs.linkFarm "llmdecl-weights" (
      lib.imap1 (number: file: {
        name = inStore number (builtins.length weights.files);
        path = pkgs.fetchurl {
          url = address name weights file;
          inherit (file) sha256;
          name = "model.gguf";
        };
      }) weights.files
    );

  ofMachine = name: lib.hasPrefix "file:" name;
in
# digest to folder
lib.mapAttrs' (name: weights: lib.nameValuePair weights.digest (folder name weights)) (
  lib.filterAttrs (name: _: !ofMachine name) (readLock lock).weights
)
