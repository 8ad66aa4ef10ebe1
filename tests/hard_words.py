"""Texts that people never write, for proving that quoting carries them, and a program that says
what reached it."""

import random

CASES = 2000
ODD = [
    *("%", "%%", "%h", "$", "$$", "$HOME", "${HOME}", "\\", "\\n", "\\x41", '"', "'", ";", "#"),
    *("\n", "\r", "\t", " ", "  ", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe"),
    *("\ufdd0", "a", "é", "漢", "😀", "{", "}", "=", ":", "-", "@", "!", "+", "%(", ")s", " ;"),
]
DUMP = """
import json, os, sys
own = {key: os.fsencode(value).hex() for key, value in os.environ.items() if key[:2] == "V_"}
argv = [os.fsencode(word).hex() for word in sys.argv[2:]]
with open(sys.argv[1] + ".new", "w") as file:
    json.dump([argv, own], file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""
"""Writes its arguments after the first, and its variables `V_*`, into the file that that names."""


def hard_texts(seed, refused, count=CASES):
    """So many texts that `refused` lets through: mostly what has a meaning somewhere, some of all
    of Unicode."""
    rng = random.Random(seed)
    found = []
    while len(found) < count:
        text = _text(rng)
        if refused(text) is None:
            found.append(text)
    return found


def _text(rng):
    anywhere = (rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000))
    return "".join(
        rng.choice(ODD) if rng.random() < 0.8 else chr(rng.choice(anywhere))
        for _ in range(rng.randrange(20))
    )
