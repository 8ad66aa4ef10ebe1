"""Only what a request lacks is added; everything else keeps its bytes."""

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.router.rewrite import Rewrite
from llmdecl.router.routes import ROUTES
from tests.router.data_path.harness import CHAT, config, model, stack

CHAT_ROUTE = ROUTES[CHAT.encode()][0]
COMPLETIONS = ROUTES[b"/v1/completions"][0]
RESPONSES = ROUTES[b"/v1/responses"][0]
EMBEDDINGS = ROUTES[b"/v1/embeddings"][0]
DEFAULTS = {"temperature": 0.25, "top_k": 40, "max_tokens": 128}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["model", "temperature", "top_k", "max_tokens", "n_predict", "messages"])
bodies = st.dictionaries(keys | st.text(max_size=5), values, max_size=6)
layouts = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])
spaces = st.text(" \t\r\n", max_size=3)


def rewrite(defaults=None, system=None) -> Rewrite:
    made = Rewrite.of(model(defaults=defaults or {}, system_prompt=system))
    assert made is not None
    return made


@given(bodies, layouts, spaces, spaces)
def test_defaults_only_where_absent(body, layout, before, after):
    """Keys that are there keep their values; the rest of the text is untouched, byte for byte."""
    text = (before + json.dumps(body, **layout) + after).encode("utf-8", "surrogatepass")
    if b"\xed" in text:
        return  # a lone surrogate is no UTF-8
    out = rewrite(DEFAULTS).apply(text, COMPLETIONS)
    limits = {"max_tokens", "n_predict"}
    lacking = {
        key: value
        for key, value in DEFAULTS.items()
        if key not in body and not (key in limits and limits & body.keys())
    }
    assert json.loads(out) == {**lacking, **body}
    brace = text.index(b"{") + 1
    assert out.startswith(text[:brace])
    assert out.endswith(text[brace:])
    if not lacking:
        assert out == text


messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "developer", "tool"])},
        optional={"content": values, "tool_calls": values},
    ),
    max_size=4,
)


@given(messages, bodies, layouts)
def test_system_prompt_only_where_absent(given_messages, body, layout):
    """In front of the messages when none is a system's or developer's; raw members stay as sent."""
    body = {**body, "messages": given_messages}
    text = json.dumps(body, **layout).encode("utf-8", "surrogatepass")
    if b"\xed" in text:
        return
    out = rewrite(system='Say "no".\n').apply(text, CHAT_ROUTE)
    if any(m["role"] in {"system", "developer"} for m in given_messages):
        assert out == text
        return
    first = {"role": "system", "content": 'Say "no".\n'}
    assert json.loads(out) == {**body, "messages": [first, *given_messages]}
    raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    now = msgspec.json.decode(out, type=dict[str, msgspec.Raw])
    assert {k: bytes(v) for k, v in raw.items() if k != "messages"} == {
        k: bytes(v) for k, v in now.items() if k != "messages"
    }


@pytest.mark.parametrize(
    ("body", "route"),
    [
        (b'{"messages":"text"}', CHAT_ROUTE),
        (b'{"messages":[1,2]}', CHAT_ROUTE),
        (b'{"messages":[{"role":"sys\\u0074em"}]}', CHAT_ROUTE),
        (b'{"prompt":"a"}', COMPLETIONS),
        (b'{"input":"a"}', EMBEDDINGS),
        (b'{"input":"a","instructions":"b"}', RESPONSES),
    ],
)
def test_system_prompt_has_no_place(body, route):
    """Elsewhere, or where the engine will complain anyway, nothing is touched."""
    assert rewrite(system="x").apply(body, route) == body


def test_instructions():
    """For responses the system prompt is `instructions`."""
    out = rewrite({"temperature": 1}, "x").apply(b'{"input":"a"}', RESPONSES)
    assert out == b'{"temperature":1,"instructions":"x","input":"a"}'


def test_defaults_and_prompt_together():
    """Both are added in one pass, the messages' own text kept."""
    body = b'{"messages": [ {"role":"user","content":"1.0e5 \\u00e9"} ] }'
    out = rewrite({"top_p": 0.5}, "x").apply(body, CHAT_ROUTE)
    assert out.startswith(b'{"top_p":0.5,"messages":[{"role":"system","content":"x"},')
    assert b' {"role":"user","content":"1.0e5 \\u00e9"} ]' in out


def test_embeddings_get_no_sampling():
    """Only routes that generate are touched."""
    assert rewrite(DEFAULTS).apply(b'{"input":"a"}', EMBEDDINGS) == b'{"input":"a"}'


def test_empty_object():
    """An empty body object gets its members without a stray comma."""
    assert rewrite({"top_k": 1}).apply(b" { } ", COMPLETIONS) == b' {"top_k":1 } '


def test_nothing_to_add():
    """A model without defaults costs no second look at its bodies."""
    assert Rewrite.of(model()) is None


def test_through_the_router(run):
    """The model gets the body with its additions, and a length that is right."""

    async def scenario():
        cfg = config([model(defaults={"temperature": 0.5}, system_prompt="Be brief.")])
        async with stack(cfg=cfg) as (world, behind):
            client = await world.client()
            body = {"model": "m", "messages": [{"role": "user", "content": "hé"}]}
            answer = await client.ask("POST", CHAT, body)
            seen = json.loads(base64.b64decode(answer.json["body"]))
            assert seen["temperature"] == 0.5
            assert seen["messages"][0] == {"role": "system", "content": "Be brief."}
            assert ("Content-Length", str(len(behind.asked[0].body))) in behind.asked[0].headers
            await client.ask("POST", "/tokenize", {"content": "a"})
            assert json.loads(behind.asked[1].body) == {"content": "a"}

    run(scenario())
