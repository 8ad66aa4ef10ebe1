# A user's own stack on the CPU, without root.
{ pkgs, ... }:
{
  services.llmdecl = {
    enable = true;
    lockFile = ./llmdecl.lock;
    engines.main.package = pkgs.llama-cpp;
    devices = [ ];

    settings = {
      host = {
        ram = "16GiB";
        cpu.cores = 4;
        cpu.features = [ "avx" "avx2" "bmi2" "f16c" "fma" ];
      };
      models.chat = {
        source = "hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF";
        quantization = "Q4_K_M";
        ctx-size = 4096;
      };
      endpoints.main.listen = "127.0.0.1:11434";
    };
  };
}
