"""Arguments and variables through systemd itself."""

import json
import random

from llmdecl.emit.dialects.systemd import quote_exec, quote_setting, refused_setting, section

CASES, UNITS = 2000, 10
ODD = [
    *("%", "%%", "%h", "$", "$$", "$HOME", "${HOME}", "\\", "\\n", "\\x41", '"', "'", ";", "#"),
    *("\n", "\r", "\t", " ", "  ", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe"),
    *("\ufdd0", "a", "é", "漢", "😀", "{", "}", "=", ":", "-", "@", "!", "+"),
]
DUMP = """
import json, os, sys
own = {key: os.fsencode(value).hex() for key, value in os.environ.items() if key[:2] == "V_"}
argv = [os.fsencode(word).hex() for word in sys.argv[2:]]
with open(sys.argv[1], "w") as file:
    json.dump([argv, own], file)
"""


def text(rng):
    """What people never write: mostly what has a meaning somewhere, some of all of Unicode."""
    anywhere = (rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000))
    return "".join(
        rng.choice(ODD) if rng.random() < 0.8 else chr(rng.choice(anywhere))
        for _ in range(rng.randrange(20))
    )


def test_2000_arguments_and_variables_reach_the_process_unchanged(rig):
    """Whatever is valid text without NUL, by byte; and what is refused is really lost."""
    rng = random.Random(252)
    arguments = [text(rng) for _ in range(CASES)]
    values = [value for value in map(text, [rng] * 2 * CASES) if refused_setting(value) is None]
    values = values[:CASES]
    assert len(values) == CASES
    (rig.share / "dump.py").write_text(DUMP)
    each = CASES // UNITS
    for unit in range(UNITS):
        part = slice(unit * each, (unit + 1) * each)
        words = ["/usr/bin/python3", "/srv/rig/dump.py", f"/srv/rig/{unit}.json", *arguments[part]]
        variables = [f"V_{number}={value}" for number, value in enumerate(values[part])]
        lost = '"V_lost=\\xef\\xbf\\xbe"'
        directives = [
            ("Type", "oneshot"),
            ("ExecStart", " ".join(map(quote_exec, words))),
            *(("Environment", quote_setting(variable)) for variable in variables),
            ("Environment", lost),
        ]
        written = section("Service", directives)
        assert len(written.splitlines()) >= 1 + len(directives)
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
