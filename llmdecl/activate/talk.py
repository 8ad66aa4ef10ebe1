"""A conversation with a model, streamed, over plain HTTP."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

from llmdecl.activate.ask import Door
from llmdecl.activate.rules import CHAT_FAILED
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.spec.address import address as address_of

TIMEOUT_S = 600
"""A cold start and a long prompt are within this."""


class Conversation:
    """Keeps what was said; `task` decides between chat and plain completion."""

    def __init__(self, door: Door, model: str, *, task: str, max_tokens: int | None) -> None:
        self.door, self.model, self.task, self.max_tokens = door, model, task, max_tokens
        self.messages: list[dict[str, str]] = []

    def say(self, text: str) -> Iterator[str]:
        """Pieces of the answer as they come; a Failure when it ends in an error."""
        self.messages.append({"role": "user", "content": text})
        answer = ""
        for piece in self._stream(text):
            answer += piece
            yield piece
        self.messages.append({"role": "assistant", "content": answer})

    def _body(self, text: str) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {"model": self.model, "stream": True}
        if self.max_tokens is not None:
            body["max_tokens"] = self.max_tokens
        if self.task == "completion":
            return "/v1/completions", body | {"prompt": text}
        return "/v1/chat/completions", body | {"messages": self.messages}

    def _stream(self, text: str) -> Iterator[str]:
        path, body = self._body(text)
        connection = self.door.connect(TIMEOUT_S)
        try:
            connection.request("POST", path, json.dumps(body), self.door.headers())
            reply = connection.getresponse()
            if reply.status != 200:
                said = reply.read().decode(errors="replace")
                raise Failure(_failed(self.model, _message(said) or f"status {reply.status}"))
            ended = False
            for line in reply:
                data = line.decode(errors="replace").strip()
                if data == "data: [DONE]":
                    ended = True
                elif data.startswith("data: "):
                    yield self._piece(json.loads(data[6:]))
            if not ended:
                raise Failure(_failed(self.model, "the answer broke off"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Failure(_failed(self.model, str(error) or type(error).__name__)) from error
        finally:
            connection.close()

    def _piece(self, event: Any) -> str:
        if not isinstance(event, dict):
            return ""
        if "error" in event:
            raise Failure(_failed(self.model, _message(json.dumps(event))))
        choices = event.get("choices") or [{}]
        delta = choices[0].get("delta") or choices[0]
        return str(delta.get("content") or delta.get("text") or "")


def _message(text: str) -> str:
    """What an error body of any of the APIs says."""
    try:
        tree = json.loads(text)
        error = tree["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return text[:300].strip()


def _failed(model: str, reason: str) -> Diagnostic:
    return CHAT_FAILED.at(address_of("models", model), f"`{model}` gives no answer: {reason}")
