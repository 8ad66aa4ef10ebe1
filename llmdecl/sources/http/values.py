"""What goes to a web server and what comes back, as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.rules import WEB_BAD_ANSWER
from llmdecl.sources.http.secret import Secret

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A URL, and who asks. `token` goes to the URL's own host and to no other after a redirect."""

    url: str
    headers: Headers = ()
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are lower case; `url` is the last one after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    first_headers: Mapping[str, str] = field(default_factory=dict)
    """Of redirects on the way, the first that has each: Hugging Face says digests there."""

    def json(self, address: str) -> Any:
        """The body; a Failure when it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            summary = f"`{shown(self.url)}` answered something that is not JSON: {error}"
            is_page = "html" in self.headers.get("content-type", "").lower()
            notes = ["it is an HTML page"] if is_page else []
            raise Failure(WEB_BAD_ANSWER.at(address, summary, notes=notes)) from None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a server, as the server describes it; nothing of it is verified.

    `etag` is what `url` answered with at the end of redirects. `linked_etag` is Hugging Face's
    `X-Linked-Etag` of a redirect without quotes, `sha256` the same where it is one.
    `commit` is `X-Repo-Commit`.
    """

    source: Source
    url: str
    size_bytes: int | None
    etag: str | None
    last_modified: str | None
    accepts_ranges: bool
    linked_etag: str | None = None
    sha256: str | None = None
    commit: str | None = None

    @property
    def validator(self) -> str | None:
        """What tells two versions of it apart by RFC 9110: a strong ETag, else the date."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified if not self.etag else None


def shown(url: str) -> str:
    """A URL as people and logs may see it: query and user are left out, for they hold secrets."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        netloc = f"[{host}]" if ":" in host else host
        netloc += f":{parts.port}" if parts.port else ""
        return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
    except ValueError:
        return "(a URL that can't be read)"


def same_place(one: str, other: str) -> bool:
    """Whether two URLs lead to the same scheme, host and port: RFC 6454's origin."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default
