"""The problems that building engines finds."""

from llmdecl.diagnostics import Rule, Severity

TOOL_MISSING = Rule(
    "LD701",
    "build-tool-missing",
    Severity.ERROR,
    """Beside CMake, a C++ compiler and the toolkits of its backends (`LD720`), a build needs ninja
or make, a C compiler and binutils, and one of them is not on the path. The notes name Debian's
package.""",
)
CONFIGURE_FAILED = Rule(
    "LD702",
    "configure-failed",
    Severity.ERROR,
    """CMake refused the recipe on this machine: a toolkit is missing or does not fit, mostly. The
notes hold its last words, the log all of them. Nothing was put into the store.""",
)
COMPILE_FAILED = Rule(
    "LD703",
    "compile-failed",
    Severity.ERROR,
    """A compiler or the linker failed. The notes hold the last lines, the log all of them. Killed
compilers mean too little memory: fewer `--jobs` take less. Nothing was put into the store.""",
)
NO_NAMESPACE = Rule(
    "LD704",
    "no-build-namespace",
    Severity.WARNING,
    """A build is put at one fixed path, in a mount namespace of its own, so that no path of this
machine is compiled in. Kernel or container forbid that here, so paths were mapped by the compiler
only: enough for the CPU's and Vulkan's code. On hosts with AppArmor's restriction
`sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows it, for containers
`--security-opt seccomp=unconfined` or `--cap-add SYS_ADMIN`.""",
)
NOT_REPRODUCIBLE = Rule(
    "LD705",
    "build-not-reproducible",
    Severity.WARNING,
    """nvcc puts the absolute path of what it compiles into device code, and here the build could
not be put at a fixed path. The engine works; another machine will build other files of the same
recipe.""",
)
BUILDS_DIFFER = Rule(
    "LD706",
    "builds-differ",
    Severity.ERROR,
    """Two builds of the same inputs, from two source folders, gave different files. Something of
the folder, of the day, or of chance is compiled in; the notes show where each file differs first.
Nothing was put into the store.""",
)
FLAGS_DIFFER = Rule(
    "LD707",
    "built-flags-differ",
    Severity.WARNING,
    """The lock has the flags of this engine from a table of known releases or from its source, and
the engine that was built has others. Plans follow the lock. `llmdecl lock --update NAME` takes
them from the engine itself.""",
)
TOOL_ABSENT = Rule(
    "LD708",
    "build-without-tool",
    Severity.WARNING,
    """This version of llama.cpp, or these options, have no such program, so it was not installed.
`llmdecl engine run` reaches what is there.""",
)
NO_SERVER = Rule(
    "LD709",
    "tree-without-server",
    Severity.ERROR,
    """Everything that llmdecl runs is `llama-server`, and this tree has no CMake target of that
name. Either it is no tree of llama.cpp, or an option turns the server off.""",
)
NOT_BUILT_HERE = Rule(
    "LD710",
    "engine-not-built-here",
    Severity.ERROR,
    """Only engines with `provider = "source"` are built. Others are fetched, or are here.""",
)
UNKNOWN_ENGINE = Rule(
    "LD711",
    "no-such-engine",
    Severity.ERROR,
    """The spec has no engine of this name, or it has several and none was named. `llmdecl engine
list` shows them.""",
)
UNKNOWN_TOOL = Rule(
    "LD712",
    "unknown-tool",
    Severity.ERROR,
    """The engine has no program of this name beside its server. The notes list those that it has.
Wheels often carry the server alone; a build from source has all of them.""",
)
ENGINE_ABSENT = Rule(
    "LD713",
    "engine-absent",
    Severity.ERROR,
    """The engine is locked and not on this machine yet. `llmdecl fetch` brings wheels, `llmdecl
build` builds what comes as source.""",
)
BUILD_DAMAGED = Rule(
    "LD714",
    "built-engine-damaged",
    Severity.WARNING,
    """A file of an engine that was built here is no longer what its manifest says. It is built
again.""",
)
PROBE_FAILED = Rule(
    "LD715",
    "built-engine-does-not-run",
    Severity.ERROR,
    """The engine was built, and does not run on this machine: its own words are in the notes. It
was not put into the store. An engine for another processor is built on a machine that has one.""",
)

RULES: tuple[Rule, ...] = (
    TOOL_MISSING,
    CONFIGURE_FAILED,
    COMPILE_FAILED,
    NO_NAMESPACE,
    NOT_REPRODUCIBLE,
    BUILDS_DIFFER,
    FLAGS_DIFFER,
    TOOL_ABSENT,
    NO_SERVER,
    NOT_BUILT_HERE,
    UNKNOWN_ENGINE,
    UNKNOWN_TOOL,
    ENGINE_ABSENT,
    BUILD_DAMAGED,
    PROBE_FAILED,
)
