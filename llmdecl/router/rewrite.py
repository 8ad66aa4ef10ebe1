"""What the router reads and adds in a request's body; all else stays as it was sent."""

from dataclasses import dataclass

import msgspec

from llmdecl.router.config import ModelConfig
from llmdecl.router.http.request import Body, Reject
from llmdecl.router.routes import Route


class _Asked(msgspec.Struct):
    """The two keys of a body that the router itself needs."""

    model: str | None = None
    stream: msgspec.Raw = msgspec.Raw(b"")


class _Message(msgspec.Struct):
    role: str | None = None


_asked = msgspec.json.Decoder(_Asked)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_messages = msgspec.json.Decoder(list[_Message])
_ONE_LIMIT = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"})
_SPACE = b" \t\r\n"
_SYSTEM_ROLES = frozenset({"system", "developer"})


def asked_model(body: Body) -> tuple[str | None, bool]:
    """`model` and `stream` of a JSON body; raises `Reject` (400) when it is none."""
    try:
        asked = _asked.decode(body)
    except msgspec.ValidationError as error:
        raise Reject(400, f"the body is not what it should be: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Reject(400, f"the body is not JSON: {error}") from None
    return asked.model, bytes(asked.stream) == b"true"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What requests for a model get added, rendered once."""

    defaults: tuple[tuple[str, bytes], ...]
    """Key, and `"key":value` as JSON."""
    system: bytes | None
    """The system prompt as a JSON string."""

    @staticmethod
    def of(model: ModelConfig) -> "Rewrite | None":
        """`None` when nothing is ever added."""
        if not model.defaults and model.system_prompt is None:
            return None
        members = tuple(
            (key, msgspec.json.encode({key: value})[1:-1])
            for key, value in sorted(model.defaults.items())
        )
        prompt = model.system_prompt
        return Rewrite(members, None if prompt is None else msgspec.json.encode(prompt))

    def apply(self, body: Body, route: Route) -> Body:
        """`body` with what it lacks, for a route that generates.

        Defaults go in front of the first member, the rest keeps its bytes. Only a system prompt
        that is put into `messages` writes the top level anew, each member's value as it was.
        """
        if not route.sampling:
            return body
        members = _members.decode(body)
        present = set(members)
        if present & _ONE_LIMIT:
            present |= _ONE_LIMIT
        added = [member for key, member in self.defaults if key not in present]
        if self.system is not None and route.system == "instructions":
            if "instructions" not in members:
                added.append(b'"instructions":' + self.system)
        elif self.system is not None and route.system == "messages":
            messages = _with_system(members.get("messages"), self.system)
            if messages is not None:
                members["messages"] = msgspec.Raw(messages)
                body = msgspec.json.encode(members)
        return _insert(body, added, empty=not members)


def _insert(body: Body, added: list[bytes], *, empty: bool) -> Body:
    if not added:
        return body
    start = body.index(b"{") + 1
    comma = b"" if empty else b","
    return b"".join((body[:start], b",".join(added), comma, body[start:]))


def _with_system(messages: msgspec.Raw | None, system: bytes) -> bytes | None:
    """The array with a system message in front; `None` if it has one or is no list of messages."""
    if messages is None:
        return None
    try:
        given = _messages.decode(messages)
    except msgspec.DecodeError:
        return None  # the engine says what is wrong with it
    if any(message.role in _SYSTEM_ROLES for message in given):
        return None
    inside = bytes(messages).strip(_SPACE)[1:]
    comma = b"," if given else b""
    return b'[{"role":"system","content":%b}%b%b' % (system, comma, inside)
