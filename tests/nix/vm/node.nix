# A machine that serves one small model under two names, of which one at a time may be loaded. Its lock is made in its build: every
# source is a file of Nix's store.
{ model }: # the folder of `smollm2.gguf`
{ config, pkgs, ... }:
let
  cfg = config.services.llmdecl;
  served = {
    source = "file:${model}/smollm2.gguf";
    ctx-size = 512;
    threads = 2;
    alone = true;
  };
in
{
  services.llmdecl = {
    enable = true;
    weights = "path";
    devices = [ ];
    engines.main.package = pkgs.llama-cpp;
    lockFile =
      pkgs.runCommand "llmdecl.lock"
        {
          nativeBuildInputs = [ cfg.package ];
          spec = builtins.toJSON cfg.spec;
          passAsFile = [ "spec" ];
        }
        ''
          cp "$specPath" llmdecl.json
          llmdecl lock llmdecl.json --state-dir state --store-dir store --cache-dir cache
          cp llmdecl.lock "$out"
        '';
    settings = {
      host.ram = "2GiB";
      host.cpu.cores = 2;
      host.cpu.features = [
        "avx"
        "avx2"
        "bmi2"
        "f16c"
        "fma"
        "pni"
        "sse4_1"
        "sse4_2"
        "ssse3"
      ];
      models.first = served;
      models.second = served;
      endpoints.main.listen = "127.0.0.1:8080";
    };
  };
}
