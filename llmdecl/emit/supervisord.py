"""supervisord: one program a model, started by the router alone; one program for the router.
llama-swap in the router's place starts models itself.

supervisord hands its environment to programs, so models run through `env -i`. Model programs are
never restarted by supervisord: one that can't bind would be respawned once a second for ever.
"""

import hashlib
from collections.abc import Iterable

from llmdecl.emit import llama_swap
from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.emit.dialects.supervisord import ROOTS, command, section
from llmdecl.emit.doors import door, listen
from llmdecl.plan.model import ModelPlan, Plan, Root, Word

STATE, RUN = ROOTS[Root.STATE], ROOTS[Root.RUN]
STACK = '"LLMDECL_STACK=%(ENV_LLMDECL_STACK)s"'
LOG_BYTES = "10MB"
LOG_BACKUPS = 2
STOP_WAIT_S = 5
"""A second TERM, or KILL: the router has drained the model before it is stopped."""

ROUTER_STOP_WAIT_S = 3605
"""Bounds a router that hangs. It ends by itself once its `drain-timeout`, at most an hour, is over;
a constant keeps edits of that key from restarting it."""

OPEN_FILES = 1024

OUR_ROUTER = (
    '"%(ENV_LLMDECL_PYTHON)s"',
    "-m",
    "llmdecl.router",
    "--config",
    f'"{STATE}/wanted/router.json"',
    "--run",
    f'"{RUN}"',
    "--logs",
    f'"{STATE}/logs"',
    "--measured",
    f'"{STATE}/measured"',
)


def emit(plan: Plan) -> ArtefactSet:
    """`supervisord.conf`, `router.conf` and `models/NAME.conf`, below `supervisord/`."""
    swaps = plan.router.kind == "llama-swap"
    models = () if swaps else plan.models
    router = _router(_llama_swap(plan) if swaps else OUR_ROUTER)
    return (
        *(Artefact(path=f"supervisord/models/{m.name}.conf", text=_model(m)) for m in models),
        Artefact(path="supervisord/router.conf", text=router),
        Artefact(path="supervisord/supervisord.conf", text=_supervisord()),
    )


def _supervisord() -> str:
    """The manager itself: a private socket, logs below the state folder, the rest included."""
    return "\n".join(
        (
            section("unix_http_server", file=f"{RUN}/supervisord.sock", chmod="0700"),
            section(
                "supervisord",
                logfile=f"{STATE}/logs/supervisord.log",
                logfile_maxbytes=LOG_BYTES,
                logfile_backups=LOG_BACKUPS,
                loglevel="info",
                pidfile=f"{RUN}/supervisord.pid",
                childlogdir=f"{STATE}/logs",
                identifier="llmdecl",
                umask="077",
                minfds=OPEN_FILES,
                nocleanup=True,
            ),
            section(
                "rpcinterface:supervisor",
                **{
                    "supervisor.rpcinterface_factory": (
                        "supervisor.rpcinterface:make_main_rpcinterface"
                    )
                },
            ),
            section("supervisorctl", serverurl=f"unix://{RUN}/supervisord.sock"),
            section("include", files="router.conf models/*.conf"),
        )
    )


def _llama_swap(plan: Plan) -> tuple[Word | str, ...]:
    """With the digest of its configuration: it is started anew when that changes, and never left
    with what an earlier one said."""
    entrance = door(plan)
    text = llama_swap.emit(plan)[0].text
    return (
        "/usr/bin/env",
        Word(text=f"LLMDECL_DIGEST={hashlib.sha256(text.encode()).hexdigest()}"),
        Word(text=plan.router.path or ""),
        "-config",
        f'"{STATE}/wanted/{llama_swap.PATH}"',
        "-listen",
        Word(text=listen(entrance) if entrance else ""),
    )


def _router(words: Iterable[Word | str]) -> str:
    """The router: started with supervisord, restarted when it dies, given time to drain."""
    return section(
        "program:router",
        command=command(words),
        autostart=True,
        autorestart=True,
        startsecs=1,
        startretries=10,
        stopsignal="TERM",
        stopwaitsecs=ROUTER_STOP_WAIT_S,
        redirect_stderr=True,
        stdout_logfile=f"{STATE}/logs/router.log",
        stdout_logfile_maxbytes=LOG_BYTES,
        stdout_logfile_backups=LOG_BACKUPS,
    )


def _model(model: ModelPlan) -> str:
    """One model: a clean environment, its marks, its own variables, its arguments."""
    marks = (
        Word(text=f"LLMDECL_MODEL={model.name}"),
        Word(text=f"LLMDECL_DIGEST={model.digest}"),
        Word(text="PATH=/usr/bin:/bin"),
        Word(text="LANG=C.UTF-8"),
    )
    own = tuple(Word(text=f"{key}={value}") for key, value in model.environment)
    start = ("/usr/bin/env", "-i", STACK)
    words: tuple[Word | str, ...] = (*start, *marks, *own, *model.argv())
    return section(
        f"program:model-{model.name}",
        command=command(words),
        autostart=False,
        autorestart=False,
        startsecs=0,
        stopsignal="TERM",
        stopwaitsecs=STOP_WAIT_S,
        redirect_stderr=True,
        stdout_logfile=f"{STATE}/logs/model-{model.name}.log",
        stdout_logfile_maxbytes=LOG_BYTES,
        stdout_logfile_backups=LOG_BACKUPS,
    )
