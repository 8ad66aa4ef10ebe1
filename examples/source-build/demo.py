"""`make demo-source`: an engine built of llama.cpp's source serves the quickstart's model.

Everything lives in the checkout's `.demo/source-build/`; the store there keeps the engine, so that
a second run says "already built". Ends with everything stopped, whatever happens on the way.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
STACK = HERE.parent.parent / ".demo" / "source-build"
ENVIRONMENT = {
    **os.environ,
    **{f"LLMDECL_{name.upper()}_DIR": str(STACK / name) for name in ("state", "store", "cache")},
}
BOLD, DIM, GREEN, PLAIN = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")
)


def tell(text: str) -> None:
    """One step of the story."""
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def llmdecl(*words: str) -> None:
    """Run a verb as a person would; the demo ends when it fails."""
    print(f"{DIM}$ llmdecl {' '.join(words)}{PLAIN}", flush=True)
    command = [sys.executable, "-m", "llmdecl", *words]
    status = subprocess.run(command, cwd=STACK, env=ENVIRONMENT, check=False).returncode
    if status:
        raise SystemExit(f"`llmdecl {' '.join(words)}` ended with {status}")


def free_port() -> int:
    """18434 if nobody has it, else any free one."""
    for port in (18434, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise SystemExit("no free port")


def ask(port: int) -> None:
    """A question through the endpoint, as any OpenAI client would put it."""
    message = {"role": "user", "content": "In one sentence: what is a compiler?"}
    body = {"model": "smollm2", "messages": [message], "max_tokens": 48}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = json.load(answer)["choices"][0]["message"]["content"].strip()
    print(f"{GREEN}{text}{PLAIN}", flush=True)
    if not text:
        raise SystemExit("the answer is empty")


def story(port: int, builds: list[str]) -> None:
    """From nothing to an answer."""
    tell("Pin llama.cpp's source and the weights")
    llmdecl("lock")
    llmdecl("fetch")
    tell("What the build costs, then the build")
    llmdecl("build", "--dry-run")
    for words in builds or [""]:
        llmdecl("build", "--yes", *words.split())
    tell("The engine's own flags go into the lock")
    llmdecl("lock")
    llmdecl("engine", "list")
    llmdecl("engine", "run", "llama-gguf-split", "--", "--version")
    tell("Serve and ask")
    llmdecl("apply", "--yes")
    ask(port)
    llmdecl("status")
    tell("The recipe, for those who build without llmdecl")
    llmdecl("compile", "-o", "artefacts")


def main(builds: list[str]) -> int:
    """Prepare the folder, tell the story, stop everything."""
    began = time.monotonic()
    STACK.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(STACK / "state", ignore_errors=True)
    (STACK / "llmdecl.lock").unlink(missing_ok=True)
    port = free_port()
    text = (HERE / "llmdecl.toml").read_text()
    (STACK / "llmdecl.toml").write_text(text.replace("127.0.0.1:18434", f"127.0.0.1:{port}"))
    try:
        story(port, builds)
    finally:
        tell("Stop everything")
        llmdecl("down", "--yes")
    print(f"\n{BOLD}done in {time.monotonic() - began:.0f} s; nothing is left running{PLAIN}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
