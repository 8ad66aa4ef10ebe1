"""The problems that the command line finds itself."""

from llmdecl.diagnostics import Rule, Severity

NO_SPEC = Rule(
    "LD901",
    "no-spec",
    Severity.ERROR,
    """The folder holds no spec. A spec is called `llmdecl.toml` or `llmdecl.json`; another name is
given on the command line: `llmdecl check stack.toml`.""",
)

FLAGS_REFUSED = Rule(
    "LD902",
    "flags-refused",
    Severity.ERROR,
    """llama-server would refuse these arguments, or would not start this model with them. After
`--`, `llmdecl estimate` takes llama-server's own flags, long or short, with its own defaults.""",
)
VERSION_UNKNOWN = Rule(
    "LD903",
    "engine-version-unknown",
    Severity.WARNING,
    """The memory rules were read in, and checked against, particular versions of llama.cpp. Another
version mostly allocates the same; nothing of the estimate is called exact for it. `--verify` asks
the engine itself.""",
)
GRAPH_UNKNOWN = Rule(
    "LD904",
    "graph-unknown",
    Severity.WARNING,
    """The graph of this architecture was not read, so its work buffers follow a general rule: twice
what a dense or expert network of the same widths needs. Caches count in every layer. Weights are
exact all the same.""",
)
VERIFY_FAILED = Rule(
    "LD905",
    "verify-failed",
    Severity.ERROR,
    """The engine was asked to load the model, and did not: what it said is in the notes.""",
)
NOT_VERIFIED = Rule(
    "LD906",
    "not-verified",
    Severity.WARNING,
    """`llmdecl plan --verify` loads the models of the plan and compares. This one could not be
compared: something that it reads is not in the store yet, or its engine's log does not say what it
allocates.""",
)

NOT_SYSTEMD = Rule(
    "LD907",
    "manager-not-systemd",
    Severity.ERROR,
    """`llmdecl compile --target nixos` writes units for the system's systemd, `home-manager` for a
user's: the spec has to say `manager.kind = "systemd"` or `"systemd-user"`. The modules add it.""",
)
RELATIVE_PATH = Rule(
    "LD908",
    "relative-path",
    Severity.ERROR,
    """What is compiled for a machine that is not here knows no folder that a path could start
at, and no files that a `*` could match. Give the file's absolute path on that machine.""",
)

ENGINE_NOT_BUILT = Rule(
    "LD909",
    "package-not-built",
    Severity.WARNING,
    """The configuration's engine is a package of Nix that is not on this machine yet, and the lock
does not know it, so nothing can say which flags it takes. The spec's language is checked; flags,
memory and placement are when the package was built, at the latest in the system's own build.""",
)
OUTPUT_LOST = Rule(
    "LD910",
    "output-lost",
    Severity.ERROR,
    """What the verb prints can't be written where its output leads: the disk is full, or the device
is broken. What the verb did until then is done; `llmdecl status` says what runs.""",
)

RULES: tuple[Rule, ...] = (
    NO_SPEC,
    FLAGS_REFUSED,
    VERSION_UNKNOWN,
    GRAPH_UNKNOWN,
    VERIFY_FAILED,
    NOT_VERIFIED,
    NOT_SYSTEMD,
    RELATIVE_PATH,
    ENGINE_NOT_BUILT,
    OUTPUT_LOST,
)
