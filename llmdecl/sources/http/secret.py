"""A token that no log, exception or `repr` ever shows."""

import base64
import re
from dataclasses import dataclass

_UNSAFE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """What comes after `Authorization:`; `reveal` is for the moment of sending and nothing else."""

    _scheme: str
    _value: str

    def __post_init__(self) -> None:
        if not self._value or _UNSAFE.search(self._value):
            raise ValueError("a token is empty or holds characters that no HTTP header may hold")

    @classmethod
    def bearer(cls, token: str) -> "Secret":
        """For `Authorization: Bearer`; raises ValueError (without the token) when it can't be sent.

        White space around it goes, because a token's file ends with a newline.
        """
        return cls("Bearer", token.strip())

    @classmethod
    def basic(cls, user: str, password: str) -> "Secret":
        """For `Authorization: Basic`, by RFC 7617 in UTF-8."""
        return cls("Basic", base64.b64encode(f"{user}:{password}".encode()).decode())

    def reveal(self) -> str:
        """The header's value."""
        return f"{self._scheme} {self._value}"

    def __repr__(self) -> str:
        return "Secret(...)"
