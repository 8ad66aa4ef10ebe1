"""Error bodies in OpenAI's shape, which llama.cpp's clients read as well."""

import msgspec

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    502: "upstream_error",
    503: "unavailable_error",
}


def error_json(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    log_tail: str = "",
) -> bytes:
    """The body of an answer; `code` is for programs, `log_tail` the last lines of a model's log."""
    kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, str | None] = {
        "message": message,
        "type": "invalid_request_error" if code == "model_not_found" else kind,
        "param": param or ("model" if code == "model_not_found" else None),
        "code": code,
    }
    if log_tail:
        error["log_tail"] = log_tail
    return msgspec.json.encode({"error": error})


def error_event(message: str) -> bytes:
    """A server-sent event that ends a stream which can't go on, in the same shape."""
    return b"data: " + error_json(502, message, code="upstream_died") + b"\n\n"
