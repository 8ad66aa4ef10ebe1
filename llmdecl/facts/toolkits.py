"""What a machine has to build an engine with, as a value. Pure; `hardware/toolkits.py` asks."""

from collections.abc import Iterable

from llmdecl.values import Value


class Compiler(Value, frozen=True, kw_only=True):
    """The C++ compiler, by CMake's name for it: `GNU`, `Clang`, `AppleClang`, `IntelLLVM`."""

    id: str
    version: str


class CudaToolkit(Value, frozen=True, kw_only=True):
    """NVIDIA's compiler. `version` is the toolkit's, `13.0`; `build` the compiler's, `13.0.88`.

    `codes` (`sm_86`) and `architectures` (`compute_86`) are what it says that it compiles for;
    None for one that is too old to say.
    """

    version: str
    build: str
    codes: tuple[str, ...] | None = None
    architectures: tuple[str, ...] | None = None


class RocmToolkit(Value, frozen=True, kw_only=True):
    """AMD's compiler. `version` is HIP's, `6.2.41133`, whose first two numbers are ROCm's.

    `targets` are those that its device libraries are for, `blas` those that rocBLAS has code for;
    None when they were not found.
    """

    version: str
    compiler: str | None = None
    targets: tuple[str, ...] | None = None
    blas: tuple[str, ...] | None = None


class Toolkits(Value, frozen=True, kw_only=True):
    """Versions of all that a build may need; None for what is not there."""

    compiler: Compiler | None = None
    cmake: str | None = None
    ninja: str | None = None
    ccache: str | None = None
    cuda: CudaToolkit | None = None
    rocm: RocmToolkit | None = None
    glslc: str | None = None
    icpx: str | None = None
    metal: str | None = None

    def identity(self, backends: Iterable[str]) -> tuple[str, ...]:
        """What a build with these backends is made with: `GNU 12.2.0`, `cmake 3.25.1`, ...

        Equal words mean equal programs, as far as versions tell; ninja and ccache don't decide
        what comes out.
        """
        words = [] if self.compiler is None else [f"{self.compiler.id} {self.compiler.version}"]
        words += [] if self.cmake is None else [f"cmake {self.cmake}"]
        found = {
            "cuda": None if self.cuda is None else f"nvcc {self.cuda.build}",
            "hip": None if self.rocm is None else f"hip {self.rocm.version}",
            "metal": None if self.metal is None else f"metal {self.metal}",
            "sycl": None if self.icpx is None else f"icpx {self.icpx}",
            "vulkan": None if self.glslc is None else f"glslc {self.glslc}",
        }
        wanted = set(backends)
        words += (word for name, word in found.items() if name in wanted and word is not None)
        return tuple(words)
