"""The token for gated repositories: where it is found. It is shown nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.secret import Secret
from llmdecl.sources.rules import HUB_TOKEN_UNREADABLE

_TOKEN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """The token, and what it was taken from, for people."""

    secret: Secret
    origin: str


def find_token(
    token_file: str | None, environment: Mapping[str, str], address: str
) -> Token | None:
    """From the spec's file, `HF_TOKEN`, or where `hf auth login` puts it: in this order."""
    if token_file is not None:
        return _read(Path(token_file), "sources.hf.token-file")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):  # the latter is its older name
        if text := environment.get(name, "").strip():
            return _token(text, f"`{name}`", address)
    path = _login_path(environment)
    return _read(path, address) if path is not None and _is_there(path) else None


def _is_there(path: Path) -> bool:
    """Whether it is a file; one in a folder that this user may not enter is not there."""
    try:
        return path.is_file()
    except OSError:
        return False


def _login_path(environment: Mapping[str, str]) -> Path | None:
    if path := environment.get("HF_TOKEN_PATH"):
        return Path(path).expanduser()
    if home := environment.get("HF_HOME"):
        return Path(home).expanduser() / "token"
    if cache := environment.get("XDG_CACHE_HOME"):
        return Path(cache) / "huggingface" / "token"
    home = environment.get("HOME")
    return Path(home) / ".cache" / "huggingface" / "token" if home else None


def _read(path: Path, address: str) -> Token:
    try:
        with path.open("rb") as file:
            data = file.read(_TOKEN_BYTES)
    except OSError as error:
        summary = f"`{path}` can't be read: {error.strerror}"
        raise Failure(HUB_TOKEN_UNREADABLE.at(address, summary)) from None
    return _token(data.decode("utf-8", "replace"), f"`{path}`", address)


def _token(text: str, origin: str, address: str) -> Token:
    try:
        return Token(Secret.bearer(text), origin)
    except ValueError as error:
        raise Failure(HUB_TOKEN_UNREADABLE.at(address, f"{origin}: {error}")) from None
