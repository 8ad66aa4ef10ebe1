"""The house is in order: tables complete, codes explained, documents in step with code."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from llmdecl.cli import VERBS
from llmdecl.rules import RULES

TOP = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_module_with_a_command(verb):
    """A verb's module has a `command` of that name with a help text."""
    command = import_module(f"llmdecl.cli.{verb}").command
    assert isinstance(command, click.Command)
    assert verb == command.name
    assert command.help


def test_every_verb_file_is_in_the_table():
    """A file in `cli/` with a command is a verb."""
    for path in (TOP / "llmdecl" / "cli").glob("*.py"):
        if re.search(r"^command\b|^@click.command|^def command", path.read_text(), re.MULTILINE):
            assert path.stem in VERBS


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_every_code_has_a_page(rule):
    """A code is LD and three digits, its name is kebab-case, its page says more than its name."""
    assert re.fullmatch(r"LD[1-79]\d\d", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert len(rule.text.split()) >= 12


def test_rule_names_are_unique():
    """A name stands for one code."""
    names = [rule.name for rule in RULES.values()]
    assert sorted(set(names)) == sorted(names)


def test_every_rule_is_used():
    """A code that nothing can report is not a code."""
    text = "\n".join(
        path.read_text()
        for path in (TOP / "llmdecl").rglob("*.py")
        if path.name != "rules.py" or "checks" in path.parts
    )
    rooms = (
        "spec",
        "facts",
        "plan",
        "store",
        "sources",
        "sources.http",
        "emit",
        "engines",
        "builder",
    )
    for room in (*rooms, "activate", "cli"):
        module = import_module(f"llmdecl.{room}.rules")
        for name, value in vars(module).items():
            if value in module.RULES:
                assert re.search(rf"\b{name}\b", text), f"{room}.rules.{name} is never reported"


def test_help_imports_no_verb():
    """`llmdecl --help` loads neither pydantic nor rich nor any room: it starts fast."""
    probe = (
        "import sys; from llmdecl.cli import run; run(['--help']); "
        "heavy = {'pydantic', 'rich', 'msgspec', 'supervisor', 'uvloop'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr


def test_make_help_lists_every_target():
    """Targets document themselves."""
    done = subprocess.run(["make", "help"], cwd=TOP, capture_output=True, text=True, check=True)
    for target in ("setup", "demo", "test", "lint", "check", "golden", "bench", "schema"):
        assert re.search(rf"^\s+{target} +\S", done.stdout, re.MULTILINE), target


def test_no_machine_path_or_registry_address_is_committed():
    """Nothing tracked names a developer's folder or a package index."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    bad = re.compile("/" + "work/|/" + "root/|pypi" + r"\.org|python" + "hosted")
    for name in filter(None, tracked):
        path = TOP / name
        if not path.is_file():
            continue
        found = bad.search(path.read_bytes().decode("utf-8", "replace"))
        assert found is None, f"{name}: {found.group()}"
