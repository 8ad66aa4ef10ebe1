"""What no spec changes: a model answers on its own socket, to its own name, and nobody else."""

from llmdecl.engines.choice import Choice
from llmdecl.engines.llama_cpp.writer import Writer

LOG_VERBOSITY = 4
"""The first that prints buffer sizes; it prints no prompts."""

TIMEOUT_S = 3600
SSE_PING_S = 30


def write_closed(address: str, to: Writer) -> None:
    """Flags that close what llama-server leaves open, and say what it would assume."""
    closed = (
        (("--no-ui", "--no-webui"), "the router is the door"),
        (("--no-agent",), "no tools inside an engine"),
        (("--offline",), "an engine fetches nothing"),
        (("--slots",), "the router asks which slots are busy"),
        (("--no-cors-credentials",), "no foreign origins"),
    )
    for names, reason in closed:
        to.words(address, reason, (), *names)
    to.value(Choice("localhost", address, "no foreign origins"), "--cors-origins")
    to.value(Choice(TIMEOUT_S, address, "the router's limits are shorter"), "--timeout")
    to.value(Choice(SSE_PING_S, address, "a silent stream lives"), "--sse-ping-interval")
    to.value(Choice(-1, address, "the router unloads what is idle"), "--sleep-idle-seconds")
    why = "the log shows buffer sizes"
    to.value(Choice(LOG_VERBOSITY, address, why), "--log-verbosity", "--verbosity")
