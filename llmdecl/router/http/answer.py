"""Answers that the router gives itself."""

from collections.abc import Iterable
from http import HTTPStatus

from llmdecl.router.errors import error_json
from llmdecl.router.http.request import Reject
from llmdecl.router.ports import Refused

JSON = "application/json"


def answer(
    status: int,
    body: bytes,
    *,
    kind: str = JSON,
    close: bool = False,
    head_only: bool = False,
    headers: Iterable[tuple[str, str]] = (),
    extra: bytes = b"",
) -> bytes:
    """The bytes of a whole answer; `extra` are header lines as they are, each with its CRLF."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if status != 204:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if close:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n" + extra + b"\r\n"
    return head if head_only else head + body


def stopping() -> Reject:
    """What a draining router says."""
    reject = Reject(503, "the router is stopping", code="router_stopping")
    reject.headers = (("Retry-After", "5"),)
    return reject


def rejected(reject: Reject, *, close: bool, head_only: bool = False, extra: bytes = b"") -> bytes:
    """A request's refusal in OpenAI's shape."""
    body = error_json(reject.status, reject.message, code=reject.code)
    return answer(
        reject.status,
        body,
        close=close,
        head_only=head_only,
        headers=reject.headers,
        extra=extra,
    )


def refused(refusal: Refused, *, close: bool, head_only: bool = False, extra: bytes = b"") -> bytes:
    """What the lifecycle can't serve now, with `Retry-After` and the tail of the model's log."""
    code = {429: "queue_full", 502: "model_start_failed", 503: "model_unavailable"}.get(
        refusal.status
    )
    body = error_json(refusal.status, refusal.reason, code=code, log_tail=refusal.log_tail)
    headers = (
        () if refusal.retry_after_s is None else (("Retry-After", str(refusal.retry_after_s)),)
    )
    return answer(
        refusal.status, body, close=close, head_only=head_only, headers=headers, extra=extra
    )
