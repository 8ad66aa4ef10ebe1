"""A CUDA toolkit, as CMake looks for one, of NVIDIA's wheels unpacked into a folder.

`python assemble.py FOLDER`, after `pip install --no-deps --target FOLDER -r parts.txt`. The wheels
lack the names that linkers look for and the stub of the driver's library, which has no content
anyway: programs get the real one from the driver.
"""

import subprocess
import sys
from pathlib import Path

PLACE = "nvidia/cu13"


def assemble(folder: Path) -> Path:
    """The toolkit's root below `folder`; doing it twice changes nothing."""
    root = folder / PLACE
    target = root / "targets" / "x86_64-linux"
    target.mkdir(parents=True, exist_ok=True)
    _link(target / "include", "../../include")
    _link(target / "lib", "../../lib")
    _link(root / "lib64", "lib")
    for library in sorted((root / "lib").glob("*.so.*")):
        _link(library.with_suffix(""), library.name)
    stub = root / "lib" / "stubs" / "libcuda.so"
    stub.parent.mkdir(exist_ok=True)
    argv = ("cc", "-shared", "-x", "c", "-", "-o", str(stub), "-Wl,-soname,libcuda.so.1")
    subprocess.run(argv, input=b"", check=True)
    return root


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
