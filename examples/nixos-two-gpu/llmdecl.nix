# Two unequal cards, open to the network with keys: a long context over both, small models where there is room.
{ pkgs, ... }:
let
  card = id: name: memory: {
    inherit id name memory;
    backend = "cuda";
    architecture = "sm_86";
  };
in
{
  services.llmdecl = {
    enable = true;
    lockFile = ./llmdecl.lock;
    engines.main.package = pkgs.llama-cpp.override { cudaSupport = true; };
    devices = [
      (card "big" "NVIDIA GeForce RTX 3090" "24GiB")
      (card "small" "NVIDIA GeForce RTX 3060" "12GiB")
    ];
    openFirewall = true;
    environmentFile = "/run/keys/hugging-face"; # HF_TOKEN=..., for gated repositories

    settings = {
      host = {
        name = "titan";
        ram = "128GiB";
        cpu.cores = 16;
        cpu.features = [ "avx" "avx2" "bmi2" "f16c" "fma" ];
      };
      models = {
        long = {
          source = "hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF";
          quantization = "Q4_K_M";
          ctx-size = 131072;
          parallel = 1;
          flash-attn = "on";
          cache-type-k = "q8_0";
          cache-type-v = "q8_0";
        };
        chat = {
          source = "hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF";
          quantization = "Q4_K_M";
          devices = [ "small" ];
          ctx-size = 8192;
          parallel = 2;
        };
        embedder = {
          source = "hf:nomic-ai/nomic-embed-text-v1.5-GGUF";
          quantization = "Q8_0";
          devices = [ "small" ];
        };
      };
      endpoints.lan = {
        listen = "0.0.0.0:8080";
        api-keys-file = "/run/keys/llmdecl"; # root's: systemd hands it to the router alone
      };
    };
  };
}
