"""The problems of `hf:` and `https:` sources: LD440 to LD454, part of the store's table."""

from llmdecl.diagnostics import Rule, Severity

HUB_UNKNOWN = Rule(
    "LD440",
    "hub-repository-unknown",
    Severity.ERROR,
    """Hugging Face has no repository of this name, or it is private and not for this token: from
outside both look alike. The source is `hf:OWNER/REPO`, as its page's address ends. Which server is
asked: `spec.sources.hf.endpoint`, `HF_ENDPOINT`, else huggingface.co.""",
)
HUB_REVISION_UNKNOWN = Rule(
    "LD441",
    "hub-revision-unknown",
    Severity.ERROR,
    """The repository has no branch, tag or commit of this name. A `/` in it is written `%2F`. A
commit that is locked and no longer there was removed by the publisher.""",
)
HUB_FILE_UNKNOWN = Rule(
    "LD442",
    "hub-file-unknown",
    Severity.ERROR,
    """The repository has no such file at this revision, or not all parts of a split model. The
notes list the GGUF files that it has.""",
)
QUANTIZATION_ABSENT = Rule(
    "LD443",
    "quantization-absent",
    Severity.ERROR,
    """No file of the repository is what `quantization` and its use (model, draft, projector)
ask for. The whole word has to agree: `Q4_K` is not `Q4_K_M`; capitals don't matter, and
`Q4_K_XL` also finds `UD-Q4_K_XL`. The notes list what is there, with sizes.""",
)
QUANTIZATION_AMBIGUOUS = Rule(
    "LD444",
    "quantization-ambiguous",
    Severity.ERROR,
    """Several files of the repository answer, and llmdecl does not guess. The notes list them with
sizes: pick one with `quantization`, or name the file, `hf:OWNER/REPO/PATH.gguf`.""",
)
HUB_NO_TOKEN = Rule(
    "LD445",
    "hub-token-missing",
    Severity.ERROR,
    """The repository is gated: its files need a token of an account that has accepted its terms.
llmdecl looks for one in `spec.sources.hf.token-file`, `HF_TOKEN`, and where `hf auth login` puts
it (`HF_TOKEN_PATH`, `HF_HOME`). A token never appears in a log, a lock or an artefact.""",
)
HUB_TOKEN_REFUSED = Rule(
    "LD446",
    "hub-token-refused",
    Severity.ERROR,
    """The server does not take the token: it is expired, revoked, mistyped, or a fine-grained one
that may not read gated repositories. A bad token is refused for public repositories as well; a
new one is made in the account's settings.""",
)
HUB_TERMS = Rule(
    "LD447",
    "hub-terms-not-accepted",
    Severity.ERROR,
    """The token is good, but its account has not accepted the repository's terms, or the publisher
has not admitted it yet. That is done on the repository's page, once for each account.""",
)
HUB_ANSWER = Rule(
    "LD448",
    "hub-answer",
    Severity.ERROR,
    """The server answered what Hugging Face's interface does not: another status, or JSON of
another shape. A proxy's page or a mirror that is no mirror of this are usual causes. An endpoint
that is not encrypted is not asked: `http:` is for this machine only.""",
)
HUB_TOKEN_UNREADABLE = Rule(
    "LD449",
    "hub-token-unreadable",
    Severity.ERROR,
    """The file that should hold the token can't be read, or holds something else: one line, the
token and nothing besides.""",
)
HEADER_DIFFERS = Rule(
    "LD450",
    "header-differs",
    Severity.ERROR,
    """A file has the SHA-256 that the lock pins, and another GGUF header than the lock says. The
header was read over the network when it was locked, so the server then sent other bytes than the
file's. Nothing was kept; `llmdecl lock --update NAME` reads it again.""",
)
NETRC_UNREADABLE = Rule(
    "LD451",
    "netrc-unreadable",
    Severity.ERROR,
    """The netrc file (`NETRC`, else `~/.netrc`) is where passwords for `https:` sources come from,
and it has another form than its manual says.""",
)
NOT_READ = Rule(
    "LD452",
    "quantizations-not-read",
    Severity.WARNING,
    """`llmdecl fit hf:...` reads the headers of a repository's files as far as a few megabytes go.
Files whose vocabulary is another one than the first file's are not read, and those beyond the
bound. Types that llama-quantize has are worked out in their stead and marked with `~`; of others
only the size is known. `llmdecl inspect hf:OWNER/REPO/FILE` reads one.""",
)
HUB_RENAMED = Rule(
    "LD453",
    "hub-repository-renamed",
    Severity.WARNING,
    """Hugging Face leads from the old name of a repository to the new one until somebody takes the
old one. The pin stays what it is; a later `llmdecl lock --update` could find a stranger's files
under the old name, so write the new one into the spec.""",
)
HUB_OFFLINE = Rule(
    "LD454",
    "hub-offline",
    Severity.ERROR,
    """`HF_HUB_OFFLINE` is set, so Hugging Face is not asked, as by its own programs. What is locked
needs no network until it has to be fetched, and a file that one of the caches here has is taken
from there.""",
)

RULES: tuple[Rule, ...] = (
    HUB_UNKNOWN,
    HUB_REVISION_UNKNOWN,
    HUB_FILE_UNKNOWN,
    QUANTIZATION_ABSENT,
    QUANTIZATION_AMBIGUOUS,
    HUB_NO_TOKEN,
    HUB_TOKEN_REFUSED,
    HUB_TERMS,
    HUB_ANSWER,
    HUB_TOKEN_UNREADABLE,
    HEADER_DIFFERS,
    NETRC_UNREADABLE,
    NOT_READ,
    HUB_RENAMED,
    HUB_OFFLINE,
)
