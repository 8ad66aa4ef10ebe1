"""Arguments and variables through systemd itself."""

import json

from llmdecl.emit.dialects.systemd import (
    quote_exec,
    quote_setting,
    refused,
    refused_setting,
    section,
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
