"""Every path that is served, literally; no patterns but the name behind `/v1/models/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Serve(Enum):
    """Who answers."""

    MODEL = "the model"
    MODELS = "the list of models"
    HEALTH = "health"
    METRICS = "metrics"
    PAGE = "the status page"


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `api` is the group of the endpoint that must be on; `None` is always there.

    `sampling`: request defaults apply. `system`: the key that holds a system prompt's place,
    `messages` or `instructions`.
    """

    method: bytes
    serve: Serve
    api: str | None
    sampling: bool = False
    system: str | None = None
    open: bool = False
    """Answered without an API key."""


def _post(api: str, *, sampling: bool = False, system: str | None = None) -> Route:
    return Route(b"POST", Serve.MODEL, api, sampling, system)


_OPENAI, _NATIVE = "openai", "llama.cpp"
_CHAT = _post(_OPENAI, sampling=True, system="messages")
_COMPLETIONS = _post(_OPENAI, sampling=True)
_RESPONSES = _post(_OPENAI, sampling=True, system="instructions")
_EMBEDDINGS = _post(_OPENAI)
_RERANK = _post(_OPENAI)
_NATIVE_GENERATION = _post(_NATIVE, sampling=True)
_NATIVE_CALL = _post(_NATIVE)
_NATIVE_LOOK = Route(b"GET", Serve.MODEL, _NATIVE)
_MODELS = Route(b"GET", Serve.MODELS, None)

ROUTES: Mapping[bytes, tuple[Route, ...]] = MappingProxyType(
    {
        b"/v1/chat/completions": (_CHAT,),
        b"/chat/completions": (_CHAT,),
        b"/v1/completions": (_COMPLETIONS,),
        b"/completions": (_NATIVE_GENERATION, _COMPLETIONS),
        b"/v1/responses": (_RESPONSES,),
        b"/responses": (_RESPONSES,),
        b"/v1/embeddings": (_EMBEDDINGS,),
        b"/v1/rerank": (_RERANK,),
        b"/v1/reranking": (_RERANK,),
        b"/rerank": (_NATIVE_CALL, _RERANK),
        b"/reranking": (_NATIVE_CALL, _RERANK),
        b"/completion": (_NATIVE_GENERATION,),
        b"/infill": (_NATIVE_GENERATION,),
        b"/embedding": (_NATIVE_CALL,),
        b"/embeddings": (_NATIVE_CALL,),
        b"/tokenize": (_NATIVE_CALL,),
        b"/detokenize": (_NATIVE_CALL,),
        b"/apply-template": (_NATIVE_CALL,),
        b"/props": (_NATIVE_LOOK,),
        b"/slots": (_NATIVE_LOOK,),
        b"/v1/models": (_MODELS,),
        b"/models": (_MODELS,),
        b"/health": (Route(b"GET", Serve.HEALTH, None, open=True),),
        b"/metrics": (Route(b"GET", Serve.METRICS, None),),
        b"/": (Route(b"GET", Serve.PAGE, None),),
    }
)
"""The first route of a path whose API the endpoint has is the one."""

MODEL_PREFIX = b"/v1/models/"


def table(apis: tuple[str, ...]) -> dict[bytes, Route]:
    """The paths of an endpoint that speaks `apis`."""
    return {
        path: found
        for path, routes in ROUTES.items()
        for found in [next((r for r in routes if r.api is None or r.api in apis), None)]
        if found is not None
    }
