"""`hf:` sources: repositories of Hugging Face over its HTTP interface.

A revision becomes a commit, and everything after that asks for the commit. LFS files (all that are
larger than 10 MB) come with their SHA-256 in the list of files. The token goes to the endpoint
only: what files redirect to is signed.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.rules import WEB_NOT_FOUND, WEB_UNAUTHORISED
from llmdecl.sources.http.values import Answer, Source, shown
from llmdecl.sources.http.web import Web
from llmdecl.sources.huggingface_token import Token, find_token
from llmdecl.sources.reference import HUB_REPOSITORY, HfReference, endpoint_problem, is_safe_member
from llmdecl.sources.repository import RepositoryFile
from llmdecl.sources.rules import (
    HUB_ANSWER,
    HUB_FILE_UNKNOWN,
    HUB_NO_TOKEN,
    HUB_OFFLINE,
    HUB_REVISION_UNKNOWN,
    HUB_TERMS,
    HUB_TOKEN_REFUSED,
    HUB_UNKNOWN,
)
from llmdecl.spec.schema import HfSource

ENDPOINT = "https://huggingface.co"
"""Unless the spec or `HF_ENDPOINT` has another."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{7,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)
_REFUSED = (401, 403, 404)
_TRUE = ("1", "ON", "YES", "TRUE")
"""huggingface_hub/constants.py."""
_PAGES = 200
_PAGE_BYTES = 32 << 20
_TEXTS = 16
_WORDS = 200


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit, and what the publisher says of the repository there.

    `repository` is its name now: it is another one than was asked for where it was renamed.
    """

    repository: str
    commit: str
    license: str | None
    base_model: tuple[str, ...]
    gated: bool


@dataclass(frozen=True, slots=True)
class Hub:
    """An endpoint, and as whom it is asked."""

    web: Web
    endpoint: str
    token: Token | None

    def revision(self, reference: HfReference, address: str) -> Revision:
        """The commit that the revision is now."""
        name = quote(reference.revision or "main", safe="")
        url = f"{self.endpoint}/api/models/{reference.repository}/revision/{name}"
        answer = self._answer(url, reference, address)
        data = answer.json(address)
        commit = data.get("sha") if isinstance(data, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise self._odd(url, "names no commit", address)
        card = data.get("cardData")
        card = card if isinstance(card, dict) else {}
        called = data.get("id")  # a mirror's own word for it counts only where it leads there
        is_new = isinstance(called, str) and HUB_REPOSITORY.fullmatch(called) and answer.url != url
        return Revision(
            repository=called if is_new else reference.repository,
            commit=commit,
            license=_license(card),
            base_model=_texts(card.get("base_model")),
            gated=data.get("gated") not in (None, False),
        )

    def files(
        self, reference: HfReference, revision: Revision, address: str
    ) -> tuple[RepositoryFile, ...]:
        """Every file at a commit, by as many pages as there are."""
        where = f"{revision.repository}/tree/{revision.commit}"
        start = f"{self.endpoint}/api/models/{where}?recursive=true"
        url, found = start, []
        for _ in range(_PAGES):
            answer = self._answer(url, reference, address)
            data = answer.json(address)
            if not isinstance(data, list):
                raise self._odd(url, "is no list of files", address)
            found += [file for entry in data if (file := _file(entry)) is not None]
            cursor = _cursor(answer.headers.get("link"))
            if cursor is None:
                return tuple(found)
            # only its cursor: a mirror passes on links that lead to Hugging Face itself
            url = f"{start}&cursor={quote(cursor, safe='')}"
        raise self._odd(start, f"has more than {_PAGES} pages", address)

    def source(self, reference: HfReference, commit: str, path: str) -> Source:
        """Where a file's bytes are."""
        where = f"{self.endpoint}/{reference.repository}/resolve/{commit}/{quote(path)}"
        return Source(where, token=self.token.secret if self.token else None)

    def _answer(self, url: str, reference: HfReference, address: str) -> Answer:
        secret = self.token.secret if self.token else None
        answer = self.web.get(
            url, token=secret, address=address, allow=_REFUSED, max_bytes=_PAGE_BYTES
        )
        if answer.status != 200:
            raise self.refusal(answer.status, answer.headers, reference, address)
        return answer

    def why(self, reference: HfReference, commit: str, path: str, address: str) -> Failure | None:
        """Why a file is refused; `None` when it is not, or the server can't be asked."""
        source = self.source(reference, commit, path)
        first = (("Range", "bytes=0-0"),)
        try:
            answer = self.web.get(
                source.url, headers=first, token=source.token, address=address, allow=_REFUSED
            )
        except Failure:
            return None
        if answer.status not in _REFUSED:
            return None
        return self.refusal(answer.status, answer.headers, reference, address, commit)

    def refusal(
        self,
        status: int,
        headers: Mapping[str, str],
        reference: HfReference,
        address: str,
        commit: str | None = None,
    ) -> Failure:
        """What an answer of 401, 403 or 404 means, by the server's own code for it."""
        code = headers.get("x-error-code", "")
        said = clean(headers.get("x-error-message", ""))
        notes = [f"the server says: {said}"] if said else []
        name = f"`{reference.repository}`"
        if self.token:
            notes.append(f"the token is from {self.token.origin}")
        if code == "RevisionNotFound":
            kind = "revision" if commit is None else "commit"
            word = commit or reference.revision or "main"
            summary = f"{name} has no {kind} `{word}`"
            help_ = ["a commit is written with all its 40 digits"] if _SHORT.fullmatch(word) else []
            return Failure(HUB_REVISION_UNKNOWN.at(address, summary, notes=notes, help=help_))
        if code == "EntryNotFound":
            summary = f"{name} no longer holds the file at this commit"
            return Failure(HUB_FILE_UNKNOWN.at(address, summary, notes=notes))
        if status == 403 and code == "GatedRepo" and "fine-grained" not in said:
            summary = f"{name} is gated, and the token's account has not been admitted"
            help_ = [f"accept its terms at {self.endpoint}/{reference.repository}"]
            return Failure(HUB_TERMS.at(address, summary, notes=notes, help=help_))
        if status == 401 and self.token is None and code == "GatedRepo":
            summary = f"{name} is gated, and there is no token"
            return Failure(HUB_NO_TOKEN.at(address, summary, notes=notes))
        if status == 403 and "is disabled" in said:
            summary = f"{name} was disabled by {shown(self.endpoint)}"
            return Failure(HUB_ANSWER.at(address, summary, notes=notes))
        if self.token is not None and status in (401, 403) and code != "RepoNotFound":
            summary = f"the token is refused (status {status}), asked for {name}"
            return Failure(HUB_TOKEN_REFUSED.at(address, summary, notes=notes))
        if status in (401, 404):
            private = "not for this token" if self.token else "private, and there is no token"
            summary = f"{name} does not exist at {shown(self.endpoint)}, or is {private}"
            return Failure(HUB_UNKNOWN.at(address, summary, notes=notes))
        summary = f"{name} is not given out (status {status})"
        return Failure(HUB_ANSWER.at(address, summary, notes=notes))

    def _odd(self, url: str, what: str, address: str) -> Failure:
        return Failure(HUB_ANSWER.at(address, f"the answer of `{shown(url)}` {what}"))


@contextmanager
def explained(
    at: Callable[[], Hub], reference: HfReference, commit: str, path: str, address: str
) -> Iterator[None]:
    """What a refused file means, in the hub's own words: no token, a bad one, or terms."""
    try:
        yield
    except Failure as failure:
        if not any(
            p.code in (WEB_UNAUTHORISED.code, WEB_NOT_FOUND.code) for p in failure.diagnostics
        ):
            raise
        raise at().why(reference, commit, path, address) or failure from None


def hub(web: Web, settings: HfSource | None, address: str) -> Hub:
    """By the spec's settings, else the environment's; a Failure for a token that can't be read,
    and where `HF_HUB_OFFLINE` wants nobody to be asked."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        summary = "Hugging Face would have to be asked, and `HF_HUB_OFFLINE` is set"
        raise Failure(HUB_OFFLINE.at(address, summary))
    settings = settings or HfSource()
    endpoint = settings.endpoint or os.environ.get("HF_ENDPOINT") or ENDPOINT
    if problem := endpoint_problem(endpoint, clean):
        raise Failure(HUB_ANSWER.at(address, f"`HF_ENDPOINT`: {problem}"))
    return Hub(web, endpoint.rstrip("/"), find_token(settings.token_file, os.environ, address))


def _file(entry: Any) -> RepositoryFile | None:
    """A file of the list; `None` for folders and for what has no safe path or no size."""
    if not isinstance(entry, dict) or entry.get("type") != "file":
        return None
    path, size, lfs = entry.get("path"), entry.get("size"), entry.get("lfs")
    sha256 = None
    if isinstance(lfs, dict):
        size, oid = lfs.get("size", size), lfs.get("oid")
        sha256 = oid.removeprefix("sha256:") if isinstance(oid, str) else None
    if not isinstance(path, str) or not is_safe_member(path):
        return None
    if not isinstance(size, int) or size < 0:
        return None
    known = sha256 if sha256 and _SHA256.fullmatch(sha256) else None
    return RepositoryFile(path, size, known)


def _cursor(link: str | None) -> str | None:
    """The next page's cursor, by RFC 8288."""
    match = _NEXT.search(link or "")
    if match is None:
        return None
    cursors = parse_qs(urlsplit(match[1]).query).get("cursor")
    return cursors[0] if cursors else None


def _license(card: Mapping[str, Any]) -> str | None:
    """`license_name` where `license` is only `other`."""
    words = _texts(card.get("license"))
    if words == ("other",):
        words = _texts(card.get("license_name")) or words
    return ", ".join(words) or None


def _texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them, cleaned and few: they come from the publisher."""
    values = value if isinstance(value, list) else [value]
    return tuple(clean(each) for each in values[:_TEXTS] if isinstance(each, str))


def clean(text: str) -> str:
    """Somebody else's words as a lock and a terminal may hold them."""
    return "".join(each for each in text if each.isprintable())[:_WORDS]
