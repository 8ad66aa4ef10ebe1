"""The problems that source trees have."""

from llmdecl.diagnostics import Diagnostic, Rule, Severity
from llmdecl.spec.address import address

ARCHIVE_UNSAFE = Rule(
    "LD481",
    "archive-unsafe",
    Severity.ERROR,
    """The archive is damaged, or wants to be unpacked where it must not: a member outside, twice,
behind a link, a link that leads out, a device, or more bytes than a source tree has. Archives are
tar (plain, gzip, bzip2, xz) or zip. Nothing of it was kept.""",
)
TREE_MISSING = Rule(
    "LD482",
    "tree-missing",
    Severity.ERROR,
    """Neither the archive nor a folder in it is llama.cpp: its CMakeLists.txt says
`project("llama.cpp" ...)`. Or there are several beside each other, and none is the one.""",
)
TREE_CHANGED = Rule(
    "LD483",
    "tree-changed",
    Severity.ERROR,
    """The source tree is another than the locked one, by its NAR hash: some file in it differs.
It was thrown away. Look what changed before `llmdecl lock --update NAME` pins it. An archive that
was only packed anew has the same tree and is taken.""",
)
TREE_REPACKED = Rule(
    "LD484",
    "tree-repacked",
    Severity.WARNING,
    """The archive has another SHA-256 than when it was locked, and the tree in it is the same to
the last bit. Servers pack archives anew now and then. What counts is the tree, so it was taken.""",
)
FLAGS_UNREADABLE = Rule(
    "LD485",
    "flags-unreadable",
    Severity.ERROR,
    """An engine that is not built yet can't be asked for its flags, so they come from the tables
of known releases or from the tree's own `common/arg.cpp`. This one is not known, and its text is
written in a way that llmdecl does not read. Nothing is guessed. Another version may do; an engine
that is built by other means can be used with `provider = "path"`.""",
)
SDIST_UNKNOWN = Rule(
    "LD486",
    "sdist-unknown",
    Severity.ERROR,
    """The package index has no source distribution of this package in this version. Which index is
asked is decided by pip's own configuration: `pip config list`, `PIP_INDEX_URL`.""",
)
SDIST_UNPROMISED = Rule(
    "LD487",
    "sdist-unpromised",
    Severity.WARNING,
    """The index names no SHA-256 for a source distribution, so what came was pinned as it came.
From now on it is compared with the lock.""",
)

ENGINE_NOT_BUILT = Rule(
    "LD488",
    "engine-not-built",
    Severity.WARNING,
    """The engine is built from source and is not in the store of this machine yet. `llmdecl build`
builds it, and so does `llmdecl apply` before it starts anything. All else is judged by the lock,
whose flag table comes from known releases or from the tree's own source.""",
)

BAD_ARCHIVES = Rule(
    "LD489",
    "bad-archives-address",
    Severity.ERROR,
    """`LLMDECL_LLAMA_CPP_ARCHIVES` puts a mirror in the place of llama.cpp's own archives. It is an
`https:` address (`http:` for this machine only) without a password that holds `{ref}`, for which
`refs/tags/b10434` or a commit is put.""",
)

RULES = (
    ARCHIVE_UNSAFE,
    TREE_MISSING,
    TREE_CHANGED,
    TREE_REPACKED,
    FLAGS_UNREADABLE,
    SDIST_UNKNOWN,
    SDIST_UNPROMISED,
    ENGINE_NOT_BUILT,
    BAD_ARCHIVES,
)


def not_built(name: str) -> Diagnostic:
    """Said of an engine that `llmdecl build` has to make first."""
    summary = f"engine `{name}` is not built on this machine"
    return ENGINE_NOT_BUILT.at(address("engines", name), summary, help=("`llmdecl build`",))
