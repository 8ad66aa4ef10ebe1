"""One spec for a running, pinned, memory-proven local LLM stack."""

__version__ = "0.1.0"
