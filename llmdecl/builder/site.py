"""Where a build happens: folders of a work place, and how programs see them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from llmdecl.builder import enclosure
from llmdecl.engines.llama_cpp.reproducible import BUILD_DIR, ENVIRONMENT, SOURCE_DIR
from llmdecl.facts.hardware.machine import places

PASSED = (
    "CC",
    "CMAKE_INCLUDE_PATH",
    "CMAKE_LIBRARY_PATH",
    "CMAKE_PREFIX_PATH",
    "CUDACXX",
    "CUDAHOSTCXX",
    "CUDAToolkit_ROOT",
    "CUDA_PATH",
    "CXX",
    "HIPCXX",
    "HIP_PATH",
    "LD_LIBRARY_PATH",
    "ONEAPI_ROOT",
    "ROCM_PATH",
    "VULKAN_SDK",
)
"""What a build inherits: where toolkits are. Flags are the recipe's matter."""

_ROOT, _CCACHE = "root", f"{enclosure.FIXED}/ccache"
_TMP = f"{enclosure.FIXED}/tmp"  # noqa: S108  # not the machine's


@dataclass(frozen=True, slots=True)
class Site:
    """One build. `enclosed`: programs see the folders at `/llmdecl`, and nothing else writable."""

    work: Path
    enclosed: bool
    ccache: Path | None = None
    owner: int | None = None
    """The descriptor that marks the work place as in use."""

    @property
    def source(self) -> Path:
        """The tree, a copy of its own."""
        return self.work / "src"

    @property
    def build(self) -> Path:
        """CMake's folder."""
        return self.work / "build"

    def prepare(self) -> None:
        """Its empty folders."""
        for name in ("build", "tmp", _ROOT):
            (self.work / name).mkdir(parents=True, exist_ok=True)
        if self.ccache is not None:
            self.ccache.mkdir(parents=True, exist_ok=True)

    @property
    def source_seen(self) -> str:
        """The tree, as programs see it."""
        return SOURCE_DIR if self.enclosed else str(self.source)

    @property
    def build_seen(self) -> str:
        """CMake's folder, as programs see it."""
        return BUILD_DIR if self.enclosed else str(self.build)

    def argv(self, *words: str) -> list[str]:
        """A program and its arguments, as they are run: it dies with this process."""
        argv = [sys.executable, "-I", enclosure.__file__, "--parent", str(os.getpid())]
        if self.enclosed:
            argv += ["--root", str(self.work / _ROOT)]
            for source, target in self._binds():
                argv += ["--bind", str(source), target]
        return [*argv, "--", *words]

    def _binds(self) -> list[tuple[Path, str]]:
        binds = [(self.source, SOURCE_DIR), (self.build, BUILD_DIR), (self.work / "tmp", _TMP)]
        return [*binds, (self.ccache, _CCACHE)] if self.ccache else binds

    def environment(self) -> Mapping[str, str]:
        """All that a program of the build inherits."""
        kept = {name: os.environ[name] for name in PASSED if name in os.environ}
        temporary = _TMP if self.enclosed else str(self.work / "tmp")
        found = {**kept, **ENVIRONMENT, "HOME": temporary, "TMPDIR": temporary}
        found["PATH"] = places()  # with the folders in which toolkits were looked for
        found["NINJA_STATUS"] = "[%f/%t] "
        if self.ccache is not None:
            found["CCACHE_DIR"] = _CCACHE if self.enclosed else str(self.ccache)
            found["CCACHE_NOHASHDIR"] = "true"
        return found


@cache
def refusal() -> str | None:
    """Why builds can't be enclosed on this machine, or `None`; tried once."""
    if not sys.platform.startswith("linux"):
        return "only Linux has mount namespaces"
    with tempfile.TemporaryDirectory(prefix="llmdecl-") as folder:
        site = Site(work=Path(folder), enclosed=True)
        site.prepare()
        site.source.mkdir()
        done = subprocess.run(site.argv("true"), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return " ".join(done.stderr.split()) or f"status {done.returncode}"
