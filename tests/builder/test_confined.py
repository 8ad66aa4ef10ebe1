"""A build writes nowhere but into store, cache and temporary files: all else is read-only."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests import confined

SCRIPT = """
import sys
from pathlib import Path
from llmdecl.builder import site
from tests.builder.recipes import builder, order, recipe
enclosed = sys.argv[2] == "enclosed"
if enclosed and (why := site.refusal()):
    sys.exit(f"no namespace in the namespace: {why}")
built = builder(Path(sys.argv[1])).build(order(recipe(), enclosed=enclosed))
print(built.folder, built.manifest.fixed_path)
"""


@pytest.mark.parametrize("way", ["enclosed", "open"])
def test_build(tmp_path, way):
    """Only the folders of the store, the cache and temporary files are writable, and it builds."""
    missing = [name for name in ("cmake", "c++") if shutil.which(name) is None]
    if why := confined.refusal() or (f"no {missing} here" if missing else None):
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    writable = [tmp_path / name for name in ("machine", "tmp")]
    for folder in (*writable, tmp_path / "home"):
        folder.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT, tmp_path / "machine", way]
    done = confined.run(command, writable, env=environment, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    folder, fixed = done.stdout.split()
    assert (Path(folder) / "bin" / "llama-server").is_file()
    assert fixed == str(way == "enclosed")
    assert [*(tmp_path / "tmp").iterdir()] == []
    assert [*(tmp_path / "home").iterdir()] == []
