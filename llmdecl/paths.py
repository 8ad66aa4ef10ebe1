"""The folders of one stack on this machine.

| folder | default | override |
| --- | --- | --- |
| state | the user's state folder | `--state-dir`, `LLMDECL_STATE_DIR` |
| store | the user's data folder | `--store-dir`, `LLMDECL_STORE_DIR` |
| cache | the user's cache folder | `--cache-dir`, `LLMDECL_CACHE_DIR` |
| run | `$XDG_RUNTIME_DIR/llmdecl-ID`, else `/tmp/llmdecl-UID-ID` | none: it must be short |

For root they are `/var/lib/llmdecl`, `/var/lib/llmdecl/store` and `/var/cache/llmdecl` when the
spec wants the system's manager.

ID is eight hexadecimal digits of the state folder's digest; it names the stack.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

SYSTEM = ("/var/lib/llmdecl", "/var/lib/llmdecl/store", "/var/cache/llmdecl")
"""State, store and cache where root has the system's manager keep the stack."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Absolute paths; none is created here."""

    state: Path
    store: Path
    cache: Path
    run: Path
    stack: str
    """The stack's ID, which marks its processes as `LLMDECL_STACK`."""
    control: str = "router.sock"
    """The router's own socket, below the run folder."""

    @property
    def router_socket(self) -> Path:
        """Where the router takes orders."""
        return self.run / self.control

    def under(self, manager: str, environment: Mapping[str, str] = os.environ) -> "Folders":
        """The same with the run folder that `manager` gives to units; supervisord gives none."""
        if manager == "supervisord":
            return self
        runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        run = Path("/run" if manager == "systemd" else runtime) / "llmdecl"
        return replace(self, run=run, control=".router/router.sock")


def _users() -> tuple[str, str, str]:
    import platformdirs

    return (
        platformdirs.user_state_dir("llmdecl"),
        platformdirs.user_data_dir("llmdecl"),
        platformdirs.user_cache_dir("llmdecl"),
    )


def is_systems(wants_systemd: Callable[[], bool]) -> bool:
    """Whether the defaults are the system's: root's alone, and only where root's own state folder
    holds no stack; for the stack that is in the system's folder, or a spec that wants systemd."""
    if os.geteuid() != 0 or (Path(_users()[0]) / "generations").is_dir():
        return False
    return systems_stack() is not None or wants_systemd()


def systems_stack() -> Path | None:
    """The state folder of the stack that the system's manager keeps."""
    state = Path(SYSTEM[0])
    return state if (state / "generations").is_dir() else None


def folders(
    *,
    state: Path | None = None,
    store: Path | None = None,
    cache: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    system: bool = False,
) -> Folders:
    """The folders for these options and this environment; those of the `system` by default, if so
    asked."""

    def choose(option: Path | None, variable: str, default: str) -> Path:
        named = option or (Path(environment[variable]) if environment.get(variable) else None)
        return (named or Path(default)).expanduser().resolve()

    defaults = SYSTEM if system else _users()
    state = choose(state, "LLMDECL_STATE_DIR", defaults[0])
    store = choose(store, "LLMDECL_STORE_DIR", defaults[1])
    cache = choose(cache, "LLMDECL_CACHE_DIR", defaults[2])
    stack = hashlib.sha256(os.fsencode(state)).hexdigest()[:8]
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    # 107 bytes is what Python can dial; supervisord binds `NAME.PID` first
    if runtime and len(os.fsencode(runtime)) <= 60 and os.access(runtime, os.W_OK):
        run = Path(runtime) / f"llmdecl-{stack}"
    else:
        run = Path(f"/tmp/llmdecl-{os.getuid()}-{stack}")  # noqa: S108  # mode and owner are checked
    return Folders(state, store, cache, run, stack)
