"""Arguments and variables through systemd itself."""

import json

import pytest

from llmdecl.emit.dialects.systemd import (
    environment_file,
    path_setting,
    quote_exec,
    quote_setting,
    refused,
    refused_setting,
    section,
    whole_value,
)
from tests.hard_words import CASES, DUMP, hard_texts

UNITS = 10


def test_2000_arguments_and_variables_reach_the_process_unchanged(rig):
    """Whatever is valid text without NUL, by byte; and what is refused is really lost."""
    arguments, values = hard_texts(252, refused), hard_texts(253, refused_setting)
    (rig.share / "dump.py").write_text(DUMP)
    each = CASES // UNITS
    for unit in range(UNITS):
        part = slice(unit * each, (unit + 1) * each)
        words = ["/usr/bin/python3", "/srv/rig/dump.py", f"/srv/rig/{unit}.json", *arguments[part]]
        variables = [f"V_{number}={value}" for number, value in enumerate(values[part])]
        directives = [
            ("Type", "oneshot"),
            ("ExecStart", " ".join(map(quote_exec, words))),
            *(("Environment", quote_setting(variable)) for variable in variables),
            ("Environment", '"V_lost=\\xef\\xbf\\xbe"'),
        ]
        written = section("Service", directives)
        assert written.count("\n") == 1 + len(directives)
        rig.write(f"/run/systemd/system/quoting-{unit}.service", written)
    rig.run("systemctl", "daemon-reload")
    rig.run("systemctl", "start", *(f"quoting-{unit}.service" for unit in range(UNITS)))
    got_words, got_values = [], []
    for unit in range(UNITS):
        words, variables = json.loads((rig.share / f"{unit}.json").read_text())
        got_words += words
        got_values += [variables.get(f"V_{number}") for number in range(each)]
        assert "V_lost" not in variables
    assert got_words == [word.encode().hex() for word in arguments]
    assert got_values == [value.encode().hex() for value in values]


def test_paths_that_are_the_rest_of_a_line(rig):
    """Files of keys and of variables by any name that a line carries; other names are refused."""
    name = '"it\'s" 100% $HOME \\x20 é'
    for kind, text in (("keys", "sk-1"), ("variables", "SAID=hello")):
        (rig.share / f"{kind} {name}").write_text(text)
    said = "/srv/rig/rest-of-a-line"
    directives = [
        ("Type", "oneshot"),
        ("LoadCredential", f"main.keys:{whole_value(f'/srv/rig/keys {name}')}"),
        ("EnvironmentFile", environment_file(f"/srv/rig/variables {name}")),
        (
            "ExecStart",
            f"/bin/sh -c 'echo $$SAID $$(cat $$CREDENTIALS_DIRECTORY/main.keys) > {said}'",
        ),
    ]
    rig.write("/run/systemd/system/rest.service", section("Service", directives))
    rig.run("systemctl", "daemon-reload")
    rig.run("systemctl", "start", "rest.service")
    assert rig.run("cat", said).stdout == "hello sk-1\n"
    for path in ("/a\nUser=root", "/a ", "/a\\", "/a\0"):
        with pytest.raises(ValueError, match="no line"):
            whole_value(path)


def test_lists_of_paths(rig):
    """A folder by any name is the one that a unit may write to."""
    for number, name in enumerate(("plain", "a b", "100% $HOME", 'it\'s "q" \\x20', "é")):
        folder = f"/srv/lists/{name}"
        rig.run("mkdir", "-p", folder)
        directives = [
            ("Type", "oneshot"),
            ("ProtectSystem", "strict"),
            ("ReadWritePaths", path_setting(f"-{folder}")),
            ("ExecStart", f"/usr/bin/touch {quote_exec(f'{folder}/file')}"),
        ]
        rig.write(f"/run/systemd/system/list-{number}.service", section("Service", directives))
    rig.run("systemctl", "daemon-reload")
    rig.run("systemctl", "start", *(f"list-{number}.service" for number in range(5)))
