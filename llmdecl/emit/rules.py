"""The problems that `emit` finds."""

from llmdecl.diagnostics import Rule, Severity

UNWRITABLE = Rule(
    "LD501",
    "unwritable-text",
    Severity.ERROR,
    """A value holds a character that the manager's configuration can't carry, however it is
quoted: for supervisord a carriage return, a NUL, or half of a surrogate pair; for llama-swap
a NUL, half of a surrogate pair, and outside of commands what looks like `${a_macro}`; for CMake's
options any control character, and in names anything but letters, digits and `_`. Remove it; a line
break is written as a newline.""",
)
NO_TCP_ENDPOINT = Rule(
    "LD502",
    "no-tcp-endpoint",
    Severity.ERROR,
    """llama-swap listens on one TCP address, and every endpoint of the spec is a unix socket, so
nobody could reach it. Add an endpoint with `listen = "127.0.0.1:PORT"`, or use our own router.""",
)


def _loss(code: str, what: str, text: str) -> Rule:
    """Something that llama-swap cannot do: the stack runs without."""
    return Rule(code, f"cannot-express-{what}", Severity.WARNING, text)


SAMPLING = _loss(
    "LD510",
    "sampling-defaults",
    """Our router adds `sampling` to a request that brings none of it; llama-swap's `setParams`
replaces what the request says. Clients can no longer choose these parameters.""",
)
SYSTEM_PROMPT = _loss(
    "LD511",
    "system-prompt",
    """llama-swap adds no message to a request, so the model's `system-prompt` is not used.""",
)
ENDPOINT = _loss(
    "LD512",
    "endpoint",
    """llama-swap has one listener on TCP, for all models and all the paths it knows: the first TCP
endpoint by name. It has no unix socket, no second address, no list of models or `apis` per address,
and no `/v1/models` that differs between addresses.""",
)
API_KEYS_FILE = _loss(
    "LD513",
    "api-keys-file",
    """llama-swap takes keys from its configuration, where no secret belongs. What is written there
is the variable LLMDECL_API_KEY of its environment: one key. Start llama-swap with it; without it,
it refuses to start.""",
)
QUEUE_TIMEOUT = _loss(
    "LD514",
    "queue-timeout",
    """In llama-swap a request waits for its model as long as the client does; and a model that is
busy all the time is never evicted for another one, because nobody's waiting counts.""",
)
MIN_RESIDENCY = _loss(
    "LD515",
    "min-residency",
    """llama-swap evicts a model as soon as it is idle and another one is asked for, so two callers
can make it load two models in turn.""",
)
DRAIN_TIMEOUT = _loss(
    "LD516",
    "drain-timeout",
    """When llama-swap evicts a model it waits for its requests without a limit; when it reloads or
is told to unload, it does not wait: callers see a broken stream.""",
)
START_TIMEOUT = _loss(
    "LD517",
    "start-timeout",
    """llama-swap has one `healthCheckTimeout` for all models: the longest that any of them
needs.""",
)
TTL = _loss(
    "LD518",
    "ttl",
    """llama-swap counts whole seconds, and 0 is never: the next whole second is written.""",
)
MEMORY = _loss(
    "LD519",
    "memory",
    """llama-swap does not know memory: it evicts by the sets that the plan wrote. Where there are
too many to list, or a model fits only once another one was unloaded for idleness, it evicts more
than our router would.""",
)
RELOAD = _loss(
    "LD520",
    "reload",
    """Whatever changes in llama-swap's configuration, even an alias, all running models stop; those
loaded at start come back. Our router restarts what it must.""",
)
SOCKETS = _loss(
    "LD521",
    "private-sockets",
    """llama-swap dials no unix sockets, so models listen on ports of loopback: every user of this
machine can talk to them, past any API key. Ports are kept in the lock.""",
)
GATES = _loss(
    "LD522",
    "gates",
    """Nothing compares what a model's engine reports (context, devices, buffer sizes) with the plan
when llama-swap loads it; it asks `/health` and no more.""",
)


def _without(code: str, what: str, text: str, severity: Severity = Severity.WARNING) -> Rule:
    """Something that a stack without a router cannot do."""
    return Rule(code, f"without-router-{what}", severity, text)


WITHOUT_MEMORY = _without(
    "LD530",
    "memory",
    """Without a router (`router.kind = "none"`) nobody makes room for a model: whichever is asked
for is started beside those that run, and ends by `MemoryMax=` or the driver where they do not fit
together. Placement, contexts and `ttl` have to see to it.""",
)
WITHOUT_ADDRESS = _without(
    "LD531",
    "one-endpoint",
    """Without a router every model has addresses of its own: an endpoint for one model is that
model's; an endpoint for several is one port each of the same host, pinned in `llmdecl.lock`. A unix
socket can't be several. Whatever llama-server answers is answered, and `/v1/models` lists one.""",
)
WITHOUT_NAMES = _without(
    "LD532",
    "names",
    """Without a router nobody looks at the name in a request: each address answers for its model,
whatever a request calls it. Aliases lead nowhere.""",
)
WITHOUT_DEFAULTS = _without(
    "LD533",
    "request-defaults",
    """Without a router requests reach llama-server as they are: `sampling` and `system-prompt` are
not added.""",
)
WITHOUT_DRAIN = _without(
    "LD534",
    "draining",
    """Without a router nobody waits for requests in flight: when a model is changed or stopped,
they are cut. Queues and `min-residency` are none.""",
)
WITHOUT_TTL = _without(
    "LD535",
    "idle-time",
    """systemd-socket-proxyd counts whole seconds from the end of the last connection, one at least,
and any connection, a metrics scrape too, wakes a model. One with `load = "startup"` stays.""",
)
WITHOUT_GATES = _without(
    "LD536",
    "placement-check",
    """Our router compares the engine's log with the plan; without it nobody does, and what models
took is not measured.""",
)
WITHOUT_KEYS = _without(
    "LD540",
    "keys",
    """Nothing before a model asks for a key without a router, so an endpoint with `api-keys-file`
would be open to everybody who reaches it. Remove the key and listen on loopback or a unix socket,
or use our router.""",
    Severity.ERROR,
)

RULES: tuple[Rule, ...] = (
    UNWRITABLE,
    NO_TCP_ENDPOINT,
    SAMPLING,
    SYSTEM_PROMPT,
    ENDPOINT,
    API_KEYS_FILE,
    QUEUE_TIMEOUT,
    MIN_RESIDENCY,
    DRAIN_TIMEOUT,
    START_TIMEOUT,
    TTL,
    MEMORY,
    RELOAD,
    SOCKETS,
    GATES,
    WITHOUT_MEMORY,
    WITHOUT_ADDRESS,
    WITHOUT_NAMES,
    WITHOUT_DEFAULTS,
    WITHOUT_DRAIN,
    WITHOUT_TTL,
    WITHOUT_GATES,
    WITHOUT_KEYS,
)
