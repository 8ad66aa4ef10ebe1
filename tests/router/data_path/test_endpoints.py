"""Routes, names, keys, origins, and what the router answers itself."""

import pytest

from tests.router.data_path.harness import CHAT, config, endpoint, model, stack

KEYED = "Authorization: Bearer sk-one"


def two_models():
    return config(
        [model("m", aliases=("gpt-4o", "org/m")), model("other", aliases=("hidden",))],
        [endpoint(models=("m",)), endpoint("both", ("m", "other"), host="127.0.0.2")],
    )


@pytest.mark.parametrize("name", ["m", "m:latest", "gpt-4o", "gpt-4o:latest", "org/m"])
def test_model_by_any_name(run, name):
    """Name, alias, and either with `:latest`; the body keeps the one that was sent."""

    async def scenario():
        async with stack(cfg=two_models()) as (world, behind):
            client = await world.client("both")
            assert (await client.ask("POST", CHAT, {"messages": [], "model": name})).status == 200
            assert name.encode() in behind.asked[0].body
            assert (await client.ask("GET", f"/props?model={name}")).status == 200
            assert (await client.ask("GET", f"/v1/models/{name}")).json["id"] == "m"

    run(scenario())


@pytest.mark.parametrize("name", ["nothing", "other", "hidden", "", ":latest", "é" * 300])
def test_unknown_model(run, name):
    """A model that is not there, or not on this endpoint, is the same 404 of OpenAI."""

    async def scenario():
        async with stack(cfg=two_models()) as (world, behind):
            answer = await (await world.client()).ask("POST", CHAT, {"model": name})
            assert answer.status == 404
            assert answer.json["error"]["code"] == "model_not_found"
            assert answer.json["error"]["type"] == "invalid_request_error"
            assert not behind.asked

    run(scenario())


def test_no_model_named(run):
    """The only model of an endpoint needs no name; of two, one must be named."""

    async def scenario():
        async with stack(cfg=two_models()) as (world, _):
            assert (await (await world.client()).ask("POST", CHAT, {})).status == 200
            assert (await (await world.client()).ask("POST", CHAT, {"model": None})).status == 200
            assert (await (await world.client("both")).ask("POST", CHAT, {})).status == 400
            assert (await (await world.client("both")).ask("GET", "/props")).status == 400

    run(scenario())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"m"', b"{", b'{"model":1}', b'{"model":"m"}}', b"\xff", b"{'a':1}"]
)
def test_bodies_that_are_no_json_object(run, body):
    """400 in OpenAI's shape, and the connection goes on."""

    async def scenario():
        async with stack() as (world, _):
            client = await world.client()
            answer = await client.ask("POST", CHAT, body)
            assert answer.status == 400
            assert answer.json["error"]["type"] == "invalid_request_error"
            assert (await client.ask("GET", "/health")).status == 200

    run(scenario())


def test_deep_json(run):
    """A body nested beyond reason is a 400, not a fault."""

    async def scenario():
        async with stack() as (world, _):
            body = b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
            assert (await (await world.client()).ask("POST", CHAT, body)).status in {200, 400}

    run(scenario())


@pytest.mark.parametrize(
    ("apis", "path", "status"),
    [
        (("openai",), "/v1/chat/completions", 200),
        (("openai",), "/chat/completions", 200),
        (("openai",), "/v1/completions", 200),
        (("openai",), "/completions", 200),
        (("openai",), "/v1/embeddings", 200),
        (("openai",), "/v1/responses", 200),
        (("openai",), "/v1/rerank", 200),
        (("openai",), "/reranking", 200),
        (("openai",), "/completion", 404),
        (("openai",), "/tokenize", 404),
        (("llama.cpp",), "/completion", 200),
        (("llama.cpp",), "/completions", 200),
        (("llama.cpp",), "/embedding", 200),
        (("llama.cpp",), "/infill", 200),
        (("llama.cpp",), "/tokenize", 200),
        (("llama.cpp",), "/detokenize", 200),
        (("llama.cpp",), "/apply-template", 200),
        (("llama.cpp",), "/rerank", 200),
        (("llama.cpp",), "/v1/chat/completions", 404),
        (("openai", "llama.cpp"), "/v1//completions", 404),
        (("openai", "llama.cpp"), "/v1/completions/", 404),
        (("openai", "llama.cpp"), "/v1/../v1/completions", 404),
        (("openai", "llama.cpp"), "/v1/%63ompletions", 404),
        (("openai", "llama.cpp"), "/lora-adapters", 404),
    ],
)
def test_paths_are_literal(run, apis, path, status):
    """A path exists when the endpoint has its API; nothing is normalised into another."""

    async def scenario():
        cfg = config(endpoints=[endpoint(apis=apis)])
        async with stack(cfg=cfg) as (world, behind):
            answer = await (await world.client()).ask("POST", path, {})
            assert answer.status == status
            if status == 200:
                assert behind.asked[0].line == f"POST {path} HTTP/1.1"

    run(scenario())


def test_wrong_method(run):
    """405 says what is allowed."""

    async def scenario():
        async with stack() as (world, _):
            client = await world.client()
            answer = await client.ask("GET", CHAT)
            assert (answer.status, answer.header("allow")) == (405, "POST, OPTIONS")
            answer = await client.ask("POST", "/v1/models", b"{}")
            assert (answer.status, answer.header("allow")) == (405, "GET, HEAD, OPTIONS")
            assert (await client.ask("DELETE", "/v1/models/m")).status == 405
            assert (await client.ask("PUT", "/nothing")).status == 404

    run(scenario())


def test_models_list(run):
    """The endpoint's models with state, aliases and context; nobody is woken."""

    async def scenario():
        async with stack(cfg=two_models()) as (world, behind):
            world.lifecycle.refusal = AssertionError("woken")
            client = await world.client("both")
            listed = (await client.ask("GET", "/v1/models")).json
            assert listed == (await client.ask("GET", "/models")).json
            assert listed["object"] == "list"
            assert [m["id"] for m in listed["data"]] == ["m", "other"]
            first = listed["data"][0]
            assert first["object"] == "model"
            assert first["owned_by"] == "llmdecl"
            assert first["aliases"] == ["gpt-4o", "org/m"]
            assert first["state"] == "ready"
            assert first["meta"] == {"n_ctx": 4096, "task": "chat"}
            assert listed["data"][1]["state"] == "stopped"
            assert (await client.ask("GET", "/v1/models/org%2Fm")).json["id"] == "m"
            missing = await client.ask("GET", "/v1/models/nothing")
            assert missing.json["error"]["code"] == "model_not_found"
            only = (await (await world.client()).ask("GET", "/v1/models")).json
            assert [m["id"] for m in only["data"]] == ["m"]
            assert not behind.asked

    run(scenario())


def test_metrics(run):
    """Counts by configured model and status; a scrape wakes nobody and grows no labels."""

    async def scenario():
        async with stack(cfg=two_models()) as (world, _):
            client = await world.client()
            await client.ask("POST", CHAT, {"model": "m"})
            for number in range(20):
                await client.ask("POST", CHAT, {"model": f"unknown-{number}"})
            text = (await client.ask("GET", "/metrics")).body.decode()
            assert 'llmdecl_router_requests_total{code="200",model="m"} 1.0' in text
            assert 'llmdecl_router_requests_total{code="404",model=""} 20.0' in text
            assert 'llmdecl_router_ttft_seconds_count{model="m"} 1.0' in text
            assert 'llmdecl_router_duration_seconds_bucket{le="+Inf",model="m"} 1.0' in text
            assert 'llmdecl_router_in_flight{model="m"} 0.0' in text
            assert 'llmdecl_router_model_state{model="m",state="ready"} 1.0' in text
            assert "unknown" not in text

    run(scenario())


def test_status_page(run):
    """A page for people that loads nothing from elsewhere and escapes what it shows."""

    async def scenario():
        cfg = config([model(aliases=("<script>",))])
        async with stack(cfg=cfg) as (world, _):
            answer = await (await world.client()).ask("GET", "/")
            assert answer.header("content-type") == "text/html; charset=utf-8"
            assert b"&lt;script&gt;" in answer.body
            assert b"<script" not in answer.body
            assert b"http" not in answer.body.replace(b"http-equiv", b"")

    run(scenario())


def keyed(path):
    path.write_text("# keys\nsk-one\n\n  sk-two  \n")
    return config(endpoints=[endpoint(api_keys_file=str(path))])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([KEYED], 200),
        (["Authorization: bearer   sk-two"], 200),
        (["X-Api-Key: sk-two"], 200),
        (["api-key: sk-one"], 200),
        ([], 401),
        (["Authorization: Bearer sk-three"], 401),
        (["Authorization: Bearer"], 401),
        (["Authorization: Bearer # keys"], 401),
        (["Authorization: Basic sk-one"], 401),
        (["X-Api-Key: "], 401),
        (["X-Api-Key: sk-one "], 200),
    ],
)
def test_api_keys(run, tmp_path, headers, status):
    """Bearer or x-api-key; a line of comment is no key, and neither is nothing."""

    async def scenario():
        async with stack(cfg=keyed(tmp_path / "keys")) as (world, behind):
            client = await world.client()
            answer = await client.ask("POST", CHAT, {}, headers)
            assert answer.status == status
            assert len(behind.asked) == (status == 200)
            if status == 401:
                assert answer.json["error"]["code"] == "invalid_api_key"
                assert answer.header("www-authenticate") == "Bearer"

    run(scenario())


def test_what_needs_a_key(run, tmp_path):
    """Everything but `/health`, unknown paths included."""

    async def scenario():
        async with stack(cfg=keyed(tmp_path / "keys")) as (world, _):
            client = await world.client()
            assert (await client.ask("GET", "/health")).status == 200
            for path in ("/", "/v1/models", "/metrics", "/props", "/nothing"):
                assert (await client.ask("GET", path)).status == 401, path
            for path in ("/", "/v1/models", "/metrics"):
                assert (await client.ask("GET", path, None, [KEYED])).status == 200, path
            assert (await client.ask("OPTIONS", CHAT)).status == 204

    run(scenario())


def test_large_body_without_a_key(run, tmp_path):
    """Who has no key can't make the router read a large body."""

    async def scenario():
        async with stack(cfg=keyed(tmp_path / "keys")) as (world, _):
            said = await world.once(
                b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nxx"
            )
            assert said.startswith(b"HTTP/1.1 401 ")
            assert b"Connection: close" in said

    run(scenario())


def test_preflight(run):
    """A page of this machine may; one from elsewhere gets no permission and its POST a 403."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            asks = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-a"]
            local = ["Origin: http://localhost:3000", *asks]
            answer = await client.ask("OPTIONS", CHAT, None, local)
            assert answer.status == 204
            assert answer.header("access-control-allow-origin") == "http://localhost:3000"
            assert answer.header("access-control-allow-headers") == "x-a"
            assert answer.header("access-control-allow-credentials") is None
            for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
                answer = await client.ask("OPTIONS", CHAT, None, [f"Origin: {origin}", *asks])
                assert answer.status == 204
                assert answer.header("access-control-allow-origin") is None
            assert not behind.asked
            foreign = ["Origin: https://evil.example", "Host2: x"]
            answer = await client.ask("POST", CHAT, {}, foreign)
            assert answer.status == 403
            assert not behind.asked

    run(scenario())


def test_rebound_name(run):
    """On an open loopback endpoint a page is not trusted because the Host agrees with it."""

    async def scenario():
        async with stack() as (world, behind):
            said = await world.once(
                b"POST /v1/completions HTTP/1.1\r\nHost: evil.example\r\n"
                b"Origin: http://evil.example\r\nContent-Length: 2\r\n\r\n{}"
            )
            assert said.startswith(b"HTTP/1.1 403 ")
            assert not behind.asked

    run(scenario())
