"""The problems that the command line finds itself."""

from llmdecl.diagnostics import Rule, Severity

NO_SPEC = Rule(
    "LD901",
    "no-spec",
    Severity.ERROR,
    """The folder holds no spec. A spec is called `llmdecl.toml` or `llmdecl.json`; another name is
given on the command line: `llmdecl check stack.toml`.""",
)

RULES: tuple[Rule, ...] = (NO_SPEC,)
