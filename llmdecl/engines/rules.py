"""The problems of building an engine of source: architectures, toolkits, CMake options."""

from llmdecl.diagnostics import Rule, Severity

TOOLKIT_MISSING = Rule(
    "LD720",
    "toolkit-missing",
    Severity.ERROR,
    """A program that the build needs is not on this machine. The notes name the packages that
have it. A recipe can be locked, planned and written without it; only `llmdecl build` needs it.""",
)
TOOLKIT_CANNOT = Rule(
    "LD721",
    "toolkit-cannot-compile",
    Severity.ERROR,
    """The toolkit on this machine does not compile for an architecture of the engine, or is too
old for this llama.cpp. Each CUDA release drops old devices and learns new ones: 13.0 dropped all
before `sm_75`, 12.8 was the first with `sm_120`.""",
)
NO_TOOLKIT_FOR_ALL = Rule(
    "LD722",
    "no-toolkit-for-all",
    Severity.ERROR,
    """No release of the toolkit compiles all architectures of the engine at once. Two engines
can: each with its own `architectures`, and models choose by `engine`.""",
)
DRIVER_TOO_OLD = Rule(
    "LD723",
    "driver-too-old",
    Severity.ERROR,
    """The device's driver is older than what programs of this CUDA toolkit need. Within one major
release of CUDA, machine code (`sm_`) runs with the first driver of that release; PTX (`compute_`)
needs the driver that came with the toolkit, because the driver compiles it.""",
)
DEVICE_NOT_COVERED = Rule(
    "LD724",
    "device-not-covered",
    Severity.ERROR,
    """The engine holds no code that a device of the host can run: llama.cpp would end with "no
kernel image is available" or "invalid device function" at its first kernel. NVIDIA's machine
code runs on devices of the same major version and the same or a later minor one, PTX on all
later ones; AMD's runs on exactly its own target.""",
)
ARCHITECTURE_UNKNOWN = Rule(
    "LD725",
    "device-architecture-unknown",
    Severity.ERROR,
    """The architecture of a device is not known, so the engine can't be built for it. Name
`architecture` of the declared device, or `architectures` of the engine.""",
)
NOT_AN_ARCHITECTURE = Rule(
    "LD726",
    "not-an-architecture",
    Severity.ERROR,
    """The word is no architecture of the engine's backends. CUDA's are written `sm_86` for
machine code and `compute_86` for PTX, HIP's `gfx1100`. Vulkan, Metal and SYCL have none: their
drivers compile for the device.""",
)
OPTION_UNKNOWN = Rule(
    "LD727",
    "option-unknown",
    Severity.ERROR,
    """llama.cpp's CMake files, at this version, know no such option, so it would do nothing.
Options come and go between versions; `ggml/CMakeLists.txt` and `CMakeLists.txt` list them.""",
)
OPTION_CONTRADICTS = Rule(
    "LD728",
    "option-contradicts",
    Severity.ERROR,
    """A CMake option of `options` says something else than the rest of the engine's table, or
what every engine needs. Backends, architectures and the processor's code are chosen by
`backends`, `architectures` and `cpu`; where an engine is installed is the store's business.""",
)
OPTION_VALUE = Rule(
    "LD729",
    "option-value",
    Severity.ERROR,
    """The option is a switch and takes `ON` or `OFF`; CMake would take most other words for one
of them silently. No option takes line breaks or other control characters.""",
)
BACKENDS_APART = Rule(
    "LD730",
    "backends-apart",
    Severity.ERROR,
    """The backends can't be in one engine. CUDA and HIP are the same sources compiled twice with
the same names, so that both fit only as modules, which is `cpu = "dispatch"`. Metal is for
Apple's machines, where the others but Vulkan don't exist.""",
)
NEEDS_OVERRIDE = Rule(
    "LD731",
    "device-needs-override",
    Severity.WARNING,
    """AMD's libraries have no code for this device. It runs with the code of a close relative
when `HSA_OVERRIDE_GFX_VERSION` tells the runtime to take it for that one. The pairs that
llmdecl knows are in use by many, and supported by nobody.""",
)
NO_DISPATCH = Rule(
    "LD732",
    "no-cpu-dispatch",
    Severity.WARNING,
    """This version of llama.cpp can't be built with code for several processors
(`GGML_CPU_ALL_VARIANTS` is later), so the engine gets code for every x86-64 and is slow on the
CPU. `cpu = "native"` is for the host's processor only.""",
)
NATIVE_UNKNOWN = Rule(
    "LD733",
    "native-unknown",
    Severity.WARNING,
    """`cpu = "native"` is written as the instruction sets that the host's processor has, so that
every machine builds the same. This processor's are not known here: the build takes those of the
machine that it runs on, and is not reproducible.""",
)
BACKEND_ABSENT = Rule(
    "LD734",
    "backend-absent",
    Severity.ERROR,
    """This version of llama.cpp has no such backend, or calls it otherwise than any version that
llmdecl knows.""",
)
ATTENTION_NOT_COMPILED = Rule(
    "LD735",
    "attention-not-compiled",
    Severity.WARNING,
    """CUDA and HIP engines hold flash attention for some pairs of cache types only, because every
pair is compiled by itself. For another pair llama.cpp computes attention on the CPU, or, from
2026 on, makes an F16 copy of the cache first: both are slow and neither is said. `options` of
the engine compile more.""",
)
LIBRARIES_LACK_DEVICE = Rule(
    "LD736",
    "libraries-lack-device",
    Severity.WARNING,
    """rocBLAS on this machine has no code for an architecture of the engine. llama.cpp multiplies
large matrices with it, and rocBLAS then ends the process ("Cannot read TensileLibrary.dat"). AMD's
own packages leave devices out that its sources, distributions' packages or a later ROCm have.""",
)
DEVICE_UNPROVED = Rule(
    "LD737",
    "device-unproved",
    Severity.WARNING,
    """The spec says what the engine is compiled for, and the driver does not say what the device is
(NVIDIA's before 510 do so only to NVML), nor does its name. Nobody has proved that the code runs
there: llama.cpp would say "no kernel image is available" at its first kernel.""",
)

RULES: tuple[Rule, ...] = (
    TOOLKIT_MISSING,
    TOOLKIT_CANNOT,
    NO_TOOLKIT_FOR_ALL,
    DRIVER_TOO_OLD,
    DEVICE_NOT_COVERED,
    ARCHITECTURE_UNKNOWN,
    NOT_AN_ARCHITECTURE,
    OPTION_UNKNOWN,
    OPTION_CONTRADICTS,
    OPTION_VALUE,
    BACKENDS_APART,
    NEEDS_OVERRIDE,
    NO_DISPATCH,
    NATIVE_UNKNOWN,
    BACKEND_ABSENT,
    ATTENTION_NOT_COMPILED,
    LIBRARIES_LACK_DEVICE,
    DEVICE_UNPROVED,
)
