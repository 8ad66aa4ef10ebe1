"""Nix's own programs on a store of the test's own, without network, users or a daemon."""

import json
import os
import re
import subprocess
from pathlib import Path

STAND_IN = Path(__file__).parent / "stand-in"

SETTINGS = """
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
flake-registry =
allow-import-from-derivation = false
"""


class Nix:
    """`folder` holds store, state and home; `tools` is where the programs are."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.tools = tools
        said = subprocess.run(
            [tools / "nix", "--version"], capture_output=True, text=True, check=True
        )
        version = tuple(map(int, re.findall(r"\d+", said.stdout)[:2]))
        # an unpacked Nix has no helper at the hook's place; 2.8 can't do without one
        settings = SETTINGS + ("build-hook =\n" if version >= (2, 9) else "")
        self.environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "NIX_CONFIG": settings,
            "NIX_STORE_DIR": str(folder / "store"),
            "NIX_STATE_DIR": str(folder / "var"),
            "NIX_LOG_DIR": str(folder / "log"),
            "NIX_CONF_DIR": str(folder / "etc"),
        }
        (folder / "home").mkdir(parents=True)

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def say(self, *words: str | Path) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def value(self, expression: str):
        """What an expression evaluates to, whole."""
        return json.loads(
            self.say("nix-instantiate", "--eval", "--strict", "--json", "--expr", expression)
        )
