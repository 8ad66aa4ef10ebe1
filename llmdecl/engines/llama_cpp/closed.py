"""What no spec changes: a model answers on its own socket, to its own name, and nobody else."""

from llmdecl.engines.choice import Choice
from llmdecl.engines.llama_cpp.writer import Writer

LOG_VERBOSITY = 4
"""The first that prints buffer sizes; it prints no prompts."""

LEVELS_VARIABLE = "LLAMA_ARG_LOG_VERBOSITY"
"""The flag's variable since levels are what they are now: 3 info, 4 trace, 5 debug.

Before, buffer sizes are in the log without being asked for, and 4 would print prompts.
"""

TIMEOUT_S = 3600
SSE_PING_S = 30


def write_closed(address: str, to: Writer, *, private: bool) -> None:
    """Flags that close what llama-server leaves open, and say what it would assume.

    `private`: it answers on a socket, where no browser comes; on a port it has to be closed to
    foreign origins, which versions before `--cors-origins` can't.
    """
    closed = (
        (("--no-ui", "--no-webui"), "the router is the door"),
        (("--no-agent",), "no tools inside an engine"),
        (("--offline",), "an engine fetches nothing"),
        (("--slots",), "the router asks which slots are busy"),
        (("--no-cors-credentials",), "no foreign origins"),
    )
    for names, reason in closed:
        to.words(address, reason, (), *names)
    origins = Choice("localhost", address, "no foreign origins")
    to.value(origins, "--cors-origins", needed=not private)
    to.value(Choice(TIMEOUT_S, address, "the router's limits are shorter"), "--timeout")
    to.value(Choice(SSE_PING_S, address, "a silent stream lives"), "--sse-ping-interval")
    to.value(Choice(-1, address, "the router unloads what is idle"), "--sleep-idle-seconds")
    if to.has_environment("--log-verbosity", LEVELS_VARIABLE):
        why = "the log shows buffer sizes"
        to.value(Choice(LOG_VERBOSITY, address, why), "--log-verbosity", "--verbosity")
