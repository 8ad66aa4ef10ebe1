"""Nix as the transport: one of its programs at a time, and what their failures mean.

Nix is asked as the user has it: its store, its caches, `NIX_PATH`, registries. Works with Nix 2.8
and newer; flakes need not be switched on.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

from llmdecl.diagnostics import Diagnostic, Failure, Rule
from llmdecl.sources.nix.rules import (
    NIX_BAD_PACKAGE,
    NIX_BUILD_FAILED,
    NIX_FAILED,
    NIX_FLAKES_OFF,
    NIX_MISSING,
    NIX_NOT_FOUND,
    NIX_OFFLINE,
    NIX_OUTPUT_CHANGED,
)
from llmdecl.sources.pip import Stopped
from llmdecl.values import Value, from_json

T = TypeVar("T")

USUAL_PLACES = ("/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin")
"""Where Nix is when a service's PATH lacks it: on NixOS, and where its own installer puts it."""

FLAKES = ("--extra-experimental-features", "nix-command flakes")

STORE_PATH = re.compile(r"(?P<path>(/[^/]+)*/[0-9a-df-np-sv-z]{32}-[A-Za-z0-9+._?=-]+)(/.*)?")
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*(\.([A-Za-z_][A-Za-z0-9_'-]*|\"[^\"\\$]+\"))*")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TAIL = 8
_POLL_S = 0.2

_SAID: tuple[tuple[str, Rule], ...] = (
    (r"experimental Nix feature '[^']*' is disabled|is not a recognised command", NIX_FLAKES_OFF),
    (r"NAR hash mismatch in input", NIX_OUTPUT_CHANGED),
    (r"hash mismatch in fixed-output|builder for '[^']*' failed|Cannot build '", NIX_BUILD_FAILED),
    (r"HTTP error (404|410)", NIX_NOT_FOUND),
    (r"unable to download|(Couldn't|Could not) (resolve|connect)", NIX_OFFLINE),
    (r"does not provide attribute|in selection path|search path|NIX_PATH", NIX_NOT_FOUND),
    (r"cannot find flake|no substituter|don't know how to build", NIX_NOT_FOUND),
    (r"getting status of '|does not exist|is not valid|is not in the Nix store", NIX_NOT_FOUND),
    (r"build of '[^']*' failed|failed to build|build failed", NIX_BUILD_FAILED),
)
"""Words of Nix by what they mean, the surest first."""


@dataclass(frozen=True, slots=True)
class Package:
    """What `package` of the spec is; `text` is all of it, or a flake's reference without `#...`."""

    kind: Literal["flake", "attribute", "store"]
    text: str
    fragment: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """What came out: store paths of all outputs, the chief one first."""

    derivation: str | None
    outputs: tuple[str, ...]


class _Locked(Value, kw_only=True, frozen=True, forbid_unknown_fields=False, rename="camel"):
    """What Nix says of a flake; more of it is none of our business."""

    type: str
    nar_hash: str | None = None
    rev: str | None = None


class _Metadata(Value, kw_only=True, frozen=True, forbid_unknown_fields=False):
    url: str
    locked: _Locked


class _BuiltFlake(Value, kw_only=True, frozen=True, forbid_unknown_fields=False, rename="camel"):
    outputs: Mapping[str, str]
    drv_path: str | None = None


def parse_package(text: str, address: str) -> Package:
    """By its form alone; a Failure for what is neither."""
    if match := STORE_PATH.fullmatch(text):
        return Package("store", match["path"])
    if text.startswith("-") or any(ord(each) < 32 for each in text):
        pass
    elif "#" in text or ":" in text or text.startswith(("./", "../", ".")):
        reference, _, fragment = text.partition("#")
        return Package("flake", reference or ".", fragment)
    elif _ATTRIBUTE.fullmatch(text):
        return Package("attribute", text)
    summary = f"`{text}` is no flake reference, attribute of `<nixpkgs>` or path in Nix's store"
    raise Failure(NIX_BAD_PACKAGE.at(address, summary))


@dataclass(frozen=True, slots=True)
class Nix:
    """Nix for one engine at `address` of a spec in the folder `base`."""

    address: str
    base: Path
    called_off: Callable[[], bool]

    def locked_flake(self, reference: str) -> tuple[str, bool]:
        """The reference with revision and hash, as Nix writes it, and whether it names just one
        state: a git tree with changes in it has none."""
        words = ("nix", *FLAKES, "flake", "metadata", "--json", "--no-write-lock-file")
        said = self._json((*words, reference), reference, _Metadata)
        url, locked = said.url, said.locked
        if locked.type == "path" and locked.nar_hash is not None:
            # Nix adds the folder's time, which is no content, and newer ones this machine's path
            folder, _, query = reference.removeprefix("path:").partition("?")
            given = (each for each in query.split("&") if each.startswith("dir="))
            hashed = f"narHash={quote(locked.nar_hash, safe='')}"
            return f"path:{folder}?{'&'.join((*given, hashed))}", True
        return url, "narHash=" in url or locked.rev is not None

    def build_flake(self, reference: str) -> Built:
        """Have Nix's store hold the package; nothing is written beside the flake."""
        words = ("nix", *FLAKES, "build", "--json", "--no-link", "--no-write-lock-file")
        found = self._json((*words, reference), reference, tuple[_BuiltFlake, ...])
        outputs = found[0].outputs if found else {}
        chief = [outputs[name] for name in ("bin", "out") if name in outputs]
        paths = tuple(dict.fromkeys((*chief, *outputs.values())))
        return Built(found[0].drv_path if found else None, paths)

    def build_attribute(self, attribute: str) -> Built:
        """The same for an attribute of `<nixpkgs>`."""
        where = ("<nixpkgs>", "-A", attribute)
        found = self._run(("nix-instantiate", *where), attribute).split()
        derivation = found[-1].partition("!")[0]
        outputs = self._run(("nix-build", "--no-out-link", *where), attribute).split()
        return Built(derivation, tuple(dict.fromkeys(outputs)))

    def realise(self, path: str) -> Built:
        """Have Nix's store hold a path, by building its derivation or from a cache."""
        self._run(("nix-store", "--realise", path), path)
        return Built(self._deriver(path), (path,))

    def evaluate(self, reference: str, function: str, kind: type[T]) -> T:
        """What a function of Nix says of a flake's attribute; nothing is built."""
        words = ("nix", *FLAKES, "eval", "--json", "--no-write-lock-file", "--apply", function)
        return self._json((*words, reference), reference, kind)

    def keep(self, output: str, root: Path) -> None:
        """Make `root` a link that Nix's garbage collector honours."""
        root.parent.mkdir(parents=True, exist_ok=True)
        words = ("nix-store", "--realise", output, "--add-root", str(root), "--indirect")
        self._run(words, output)

    def _deriver(self, path: str) -> str | None:
        said = self._run(("nix-store", "--query", "--deriver", path), path).strip()
        return said if STORE_PATH.fullmatch(said) else None

    def _json(self, words: Sequence[str], what: str, kind: type[T]) -> T:
        said = self._run(words, what)
        try:
            return from_json(said, kind)
        except ValueError as error:
            summary = f"`{words[0]}` said of `{what}` what llmdecl can't read: {error}"
            raise Failure(NIX_FAILED.at(self.address, summary, notes=_tail(said))) from None

    def _run(self, words: Sequence[str], what: str) -> str:
        """What it says; Stopped when it is called off."""
        program = find(words[0])
        if program is None:
            summary = f"`{words[0]}` is not on this machine, and `{what}` is a package of Nix"
            raise Failure(NIX_MISSING.at(self.address, summary))
        with subprocess.Popen(
            (program, *words[1:]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=self.base,  # where a flake's relative path starts
            start_new_session=True,  # an interrupt is ours to pass on
        ) as child:
            said, complaint = self._listen(child)
        if child.returncode:
            raise Failure(self._failure(what, complaint))
        return said

    def _listen(self, child: subprocess.Popen[str]) -> tuple[str, str]:
        """What it says on both outputs, to its end."""
        while True:
            try:
                return child.communicate(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                if self.called_off():
                    child.terminate()
                    child.communicate()
                    raise Stopped from None
            except BaseException:
                child.terminate()
                raise

    def _failure(self, what: str, complaint: str) -> Diagnostic:
        complaint = _ANSI.sub("", complaint)
        errors = "\n".join(
            line for line in complaint.splitlines() if not line.startswith("warning:")
        )
        rule = next((rule for words, rule in _SAID if re.search(words, errors)), NIX_FAILED)
        return rule.at(self.address, f"`{what}` {_SUMMARIES[rule.code]}", notes=_tail(errors))


_SUMMARIES = {
    NIX_BUILD_FAILED.code: "could not be built by Nix",
    NIX_FAILED.code: "makes Nix fail",
    NIX_FLAKES_OFF.code: "is a flake, which this Nix refuses",
    NIX_NOT_FOUND.code: "is not there for Nix",
    NIX_OUTPUT_CHANGED.code: "is not what it was when it was locked",
    NIX_OFFLINE.code: "needs a download that Nix could not do",
}


def find(program: str) -> str | None:
    """Its path, also where a service's PATH lacks it."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *USUAL_PLACES)))


def _tail(text: str) -> tuple[str, ...]:
    lines = [line.strip()[:300] for line in text.splitlines() if line.strip()]
    return tuple(f"Nix said: {line}" for line in lines[-_TAIL:])
