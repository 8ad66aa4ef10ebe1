"""`https:` sources: one file on a web server, or the parts of a split model beside it."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.secret import Secret
from llmdecl.sources.http.values import Source
from llmdecl.sources.reference import HttpsReference, is_safe_member
from llmdecl.sources.rules import NETRC_UNREADABLE
from llmdecl.store.layout import split_names


def named_part(reference: HttpsReference) -> str:
    """The name of the file that the spec names; `model.gguf` where the URL has none to write."""
    name = unquote(urlsplit(reference.url).path.rpartition("/")[2])
    return name if is_safe_member(name) and "/" not in name else "model.gguf"


def part_urls(reference: HttpsReference) -> tuple[tuple[str, str], ...]:
    """Name and URL of every part, in order: beside each other under llama.cpp's names."""
    parts = urlsplit(reference.url)
    names = split_names(named_part(reference))
    if len(names) == 1:
        return ((names[0], reference.url),)
    folder, slash, _ = parts.path.rpartition("/")
    return tuple(
        (name, urlunsplit((*parts[:2], f"{folder}{slash}{quote(name)}", *parts[3:])))
        for name in names
    )


def source(url: str, environment: Mapping[str, str], address: str) -> Source:
    """With the password that the user's netrc has for the host, which goes nowhere else."""
    path = Path(environment.get("NETRC") or Path(environment.get("HOME", "/")) / ".netrc")
    host = urlsplit(url).hostname or ""
    if not os.access(path, os.R_OK):
        return Source(url)
    try:
        found = netrc.netrc(path).authenticators(host)
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        reason = error.msg if isinstance(error, netrc.NetrcParseError) else type(error).__name__
        summary = f"`{path}` can't be read: {reason}"
        raise Failure(NETRC_UNREADABLE.at(address, summary)) from None
    return Source(url, token=Secret.basic(found[0], found[2]) if found else None)
