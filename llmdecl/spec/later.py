"""What the language has and this version does not: said as such, not as a misspelling."""

from collections.abc import Mapping

LATER_KEYS: Mapping[str, Mapping[str, str]] = {
    "Spec": {"emit": "further artefacts come with a later version"},
    "PypiEngine": {
        "backends": 'only engines with `provider = "source"` are built',
        "architectures": 'only engines with `provider = "source"` are built',
    },
    "PathEngine": {
        "backends": 'only engines with `provider = "source"` are built',
        "architectures": 'only engines with `provider = "source"` are built',
    },
    "Endpoint": {"tls": "put a TLS proxy in front, or use a unix socket"},
}
"""By table; a table has the later keys of the table that it extends, too."""

LATER_CHOICES: Mapping[str, tuple[str, ...]] = {
    "llama.cpp": ("llamafile", "vllm", "command"),
    "llmdecl": ("llama-server",),
    "openai": ("anthropic", "ollama"),
}
"""By the first word that this version takes in their place."""
