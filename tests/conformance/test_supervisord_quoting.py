"""Arguments and variables through supervisord itself."""

import json
import os
import subprocess
import sys
import time

from llmdecl.emit.dialects.supervisord import command, refused, section
from llmdecl.plan.model import Word
from tests.hard_words import CASES, DUMP, hard_texts

PROGRAMS = 10


def test_2000_arguments_and_variables_reach_the_process_unchanged(tmp_path):
    """Whatever is valid text without NUL and carriage return, by byte."""
    arguments, values = hard_texts(43, refused), hard_texts(44, refused)
    dump = tmp_path / "dump.py"
    dump.write_text(DUMP)
    each = CASES // PROGRAMS
    parts = [
        section("supervisord", nodaemon=True, pidfile=tmp_path / "pid", logfile=tmp_path / "log")
    ]
    for number in range(PROGRAMS):
        part = slice(number * each, (number + 1) * each)
        words = ["/usr/bin/env", "-i"]
        words += [f"V_{index}={value}" for index, value in enumerate(values[part])]
        words += [sys.executable, str(dump), str(tmp_path / f"{number}.json"), *arguments[part]]
        options = {"startsecs": 0, "autorestart": False}
        line = command(Word(text=word) for word in words)
        parts.append(section(f"program:p{number}", command=line, **options))
    (tmp_path / "supervisord.conf").write_text("\n".join(parts), encoding="utf-8")
    words = [sys.executable, "-m", "supervisor.supervisord", "-c", tmp_path / "supervisord.conf"]
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as supervisord:
        try:
            end = time.monotonic() + 60
            while len(list(tmp_path.glob("*.json"))) < PROGRAMS:
                assert supervisord.poll() is None
                assert time.monotonic() < end, "not all programs ran"
                time.sleep(0.05)
        finally:
            supervisord.terminate()
    got_words, got_values = [], []
    for number in range(PROGRAMS):
        said, variables = json.loads((tmp_path / f"{number}.json").read_text())
        got_words += said
        got_values += [variables.get(f"V_{index}") for index in range(each)]
    assert got_words == [word.encode().hex() for word in arguments]
    assert got_values == [value.encode().hex() for value in values]
