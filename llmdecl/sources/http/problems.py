"""What went wrong with a request: the rule, its words, and whether another try may help."""

import json
import ssl
from collections.abc import Mapping

from urllib3 import exceptions as urllib3

from llmdecl.diagnostics import Failure, Rule
from llmdecl.sources.http.rules import (
    WEB_BAD_ANSWER,
    WEB_CERTIFICATE,
    WEB_NOT_FOUND,
    WEB_RATE_LIMITED,
    WEB_SERVER_ERROR,
    WEB_UNAUTHORISED,
    WEB_UNREACHABLE,
)
from llmdecl.sources.http.values import shown

_PASSING = (408, 425, 500, 502, 503, 504)
_WORDS = 200


class Trouble(Exception):  # noqa: N818  # one try failed: `Web` decides whether that is an error
    """One try of a request failed; `passing` when another one may do better."""

    def __init__(
        self,
        rule: Rule,
        summary: str,
        *,
        notes: tuple[str, ...] = (),
        passing: bool = False,
        connected: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(summary)
        self.rule, self.summary, self.notes = rule, summary, notes
        self.passing, self.connected, self.retry_after_s = passing, connected, retry_after_s

    def failure(self, address: str, tries: int = 1) -> Failure:
        """What is said in the end."""
        notes = self.notes if tries < 2 else (*self.notes, f"tried {tries} times")
        return Failure(self.rule.at(address, self.summary, notes=notes))


def of_status(
    status: int,
    headers: Mapping[str, str],
    url: str,
    *,
    body: bytes = b"",
    token: bool,
    retry_after_s: float | None,
) -> Trouble:
    """What an answer without success means; `token` says whether one was sent."""
    where = shown(url)
    notes = _said(headers, body)
    if status in (404, 410):
        return Trouble(WEB_NOT_FOUND, f"`{where}` does not exist", notes=notes)
    if status in (401, 407):
        how = "does not accept the token" if token else "wants a token"
        return Trouble(WEB_UNAUTHORISED, f"`{where}` {how} (status {status})", notes=notes)
    if status == 403:
        how = "is not open to this token's account" if token else "is not open without a token"
        return Trouble(WEB_UNAUTHORISED, f"`{where}` {how} (status 403)", notes=notes)
    if status == 429:
        asked = "" if retry_after_s is None else f", and asks to wait {retry_after_s:.0f} s"
        summary = f"`{where}` had too many requests{asked}"
        return Trouble(
            WEB_RATE_LIMITED, summary, notes=notes, passing=True, retry_after_s=retry_after_s
        )
    passing = status in _PASSING
    return Trouble(
        WEB_SERVER_ERROR,
        f"`{where}` answered with status {status}",
        notes=notes,
        passing=passing,
        retry_after_s=retry_after_s,
    )


def _said(headers: Mapping[str, str], body: bytes) -> tuple[str, ...]:
    words = headers.get("x-error-message", "") or _message(body)
    clean = "".join(each for each in words if each.isprintable())[:_WORDS]
    return (f"the server says: {clean}",) if clean else ()


def _message(body: bytes) -> str:
    """What an API says in JSON: `error`, or the first of the distribution API's `errors`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    said = found.get("error") or found.get("errors") if isinstance(found, dict) else None
    first = said[0] if isinstance(said, list) and said else said
    words = first.get("message") if isinstance(first, dict) else first
    return words if isinstance(words, str) else ""


def of_exception(error: Exception, url: str) -> Trouble:
    """What an exception of urllib3 or the system means; its text is not passed on whole."""
    where = shown(url)
    if certificate := _certificate(error):
        return Trouble(WEB_CERTIFICATE, f"`{where}` can't be trusted: {certificate}")
    match error:
        case urllib3.NameResolutionError():
            reason, connected = "its name is not known", False
        case urllib3.ConnectTimeoutError():
            reason, connected = "no connection in time", False
        case urllib3.ProxyError():
            reason, connected = f"the proxy: {_reason(error)}", False
        case urllib3.NewConnectionError():
            reason, connected = _reason(error), False
        case urllib3.ReadTimeoutError() | TimeoutError():
            reason, connected = "it stopped answering", True
        case urllib3.SSLError() | ssl.SSLError():
            reason, connected = f"TLS: {_reason(error)}", True
        case urllib3.ProtocolError() | OSError():
            reason, connected = f"the connection broke: {_reason(error)}", True
        case _:
            return Trouble(WEB_BAD_ANSWER, f"`{where}` can't be read: {type(error).__name__}")
    summary = f"`{where}` can't be reached: {reason}"
    return Trouble(WEB_UNREACHABLE, summary, passing=True, connected=connected)


def _certificate(error: BaseException | None) -> str | None:
    for each in _chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return each.verify_message or each.reason
        if "CERTIFICATE_VERIFY_FAILED" in str(each):
            return "its certificate is not valid"
    return None


def _reason(error: BaseException) -> str:
    """The operating system's words at the bottom of it, which hold no header and no URL."""
    for each in reversed(list(_chain(error))):
        if isinstance(each, ssl.SSLError) and each.reason:
            return each.reason.lower().replace("_", " ")
        if isinstance(each, OSError) and each.strerror:
            return each.strerror.lower()
    last = list(_chain(error))[-1]
    return type(last).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = [each for each in error.args if isinstance(each, BaseException)]
        reason = getattr(error, "reason", None)
        following = reason if isinstance(reason, BaseException) else None
        error = following or (inner[-1] if inner else None) or error.__cause__ or error.__context__
    return found
