"""A source distribution on the user's package index: its URL and SHA-256, and none of it run."""

import os
import re
from urllib.parse import unquote, urlsplit

from llmdecl.diagnostics import Failure
from llmdecl.sources import https
from llmdecl.sources.http.secret import Secret
from llmdecl.sources.http.values import Source, same_place
from llmdecl.sources.http.web import Web
from llmdecl.sources.pip import Pip, SdistLink, Work
from llmdecl.sources.trees.origin import Sdist
from llmdecl.sources.trees.rules import SDIST_UNKNOWN
from llmdecl.sources.wheel import Tell

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
"""PEP 691: what an index answers with digests beside the links, where pip's log has none."""


def find(
    sdist: Sdist, *, pip: Pip, web: Web, work: Work, address: str, tell: Tell
) -> tuple[SdistLink, Source]:
    """The file, and whom to ask for it as whom; a Failure when the index has none."""
    links = pip.sdist_links(sdist.package, sdist.version, work=work, address=address, tell=tell)
    if not links:
        summary = f"no source distribution of `{sdist.package}` {sdist.version} is on the index"
        raise Failure(SDIST_UNKNOWN.at(address, summary))
    link = links[0]
    users = pip.index_urls() if link.url.startswith("http") else ()
    if link.sha256 is None and link.page is not None:
        page = source(link.page, users, address)
        sha256 = _promised(page, link.file_name, web, address)
        link = SdistLink(link.url, link.page, sha256)
    return link, source(link.url, users, address)


def _promised(page: Source, file_name: str, web: Web, address: str) -> str | None:
    """The digest that the index's page names for a file, when it answers in JSON."""
    headers = (("Accept", f"{_SIMPLE_JSON}, text/html;q=0.1"),)
    answer = web.get(
        page.url, headers=headers, token=page.token, address=address, max_bytes=256 << 20
    )
    if "json" not in answer.headers.get("content-type", ""):
        return None
    files = answer.json(address)
    files = files.get("files") if isinstance(files, dict) else None
    for file in files if isinstance(files, list) else ():
        if isinstance(file, dict) and file.get("filename") == file_name:
            hashes = file.get("hashes")
            sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
            if isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256):
                return sha256
    return None


def source(url: str, users: tuple[str, ...], address: str) -> Source:
    """`url` without a user; as the user whom pip's index of the same host or netrc names."""
    bare = _without_user(url)
    for index in users:
        parts = urlsplit(index)
        if parts.username and same_place(_without_user(index), bare):
            password = unquote(parts.password or "")
            return Source(bare, token=Secret.basic(unquote(parts.username), password))
    return https.source(bare, os.environ, address) if bare.startswith("http") else Source(bare)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
