# One RTX 3090: a coder that fills most of it, a small model and an embedder beside it.
{ pkgs, ... }:
{
  services.llmdecl = {
    enable = true;
    lockFile = ./llmdecl.lock;
    engines.main.package = pkgs.llama-cpp.override { cudaSupport = true; };

    # a build sees no hardware: `llmdecl facts`, on the machine, says what to write here
    devices = [
      {
        id = "gpu0";
        backend = "cuda";
        name = "NVIDIA GeForce RTX 3090";
        memory = "24GiB";
        architecture = "sm_86";
      }
    ];

    settings = {
      host = {
        name = "atlas";
        ram = "64GiB";
        cpu.cores = 8;
        cpu.features = [ "avx" "avx2" "bmi2" "f16c" "fma" ];
      };
      defaults.ttl = "30m";
      models = {
        coder = {
          source = "hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF";
          quantization = "Q4_K_M";
          ctx-size = 32768;
          aliases = [ "gpt-4o" ];
        };
        embedder = {
          source = "hf:nomic-ai/nomic-embed-text-v1.5-GGUF";
          quantization = "Q8_0";
          load = "startup";
          ttl = "never";
        };
      };
      endpoints.main.listen = "127.0.0.1:11434";
    };
  };
}
