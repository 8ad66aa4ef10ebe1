"""The `openai` package against the router and a fake llama-server."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import openai
import pytest

from llmdecl.router.server import Server
from tests.router.data_path.harness import StubLifecycle, config, endpoint, model

FAKE = Path(__file__).parents[2] / "fakes" / "fake_llama_server.py"


@pytest.fixture
def served(short_tmp, tmp_path):
    """A router in a thread of its own, in front of the fake; gives the base URL."""
    keys = tmp_path / "keys"
    keys.write_text("sk-test\n")
    argv = [sys.executable, "-S", "-E", FAKE, "--host", short_tmp / "m.sock", "--alias", "m"]
    fake = subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE)
    ready, end, address = threading.Event(), None, []

    async def main():
        nonlocal end
        cfg = config([model(aliases=("gpt-4o",))], [endpoint(api_keys_file=str(keys))])
        server = Server(cfg, StubLifecycle(short_tmp))
        await server.start()
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        end = lambda: loop.call_soon_threadsafe(stopping.set)  # noqa: E731
        address.append(server.addresses()["main"][0][1])
        ready.set()
        await stopping.wait()
        await server.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    assert fake.stdout is not None
    while b"listening" not in fake.stdout.readline():
        pass
    yield f"http://127.0.0.1:{address[0]}/v1"
    assert end is not None
    end()
    thread.join()
    fake.kill()
    fake.wait()
    fake.stdout.close()


@pytest.fixture
def client(served):
    with contextlib.closing(
        openai.OpenAI(base_url=served, api_key="sk-test", max_retries=0, timeout=10)
    ) as made:
        yield made


TEXT = "token0 token1 token2 token3 token4 "
MESSAGES = [{"role": "user", "content": "hi"}]


def test_chat(client):
    """A whole answer."""
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT


def test_chat_stream(client):
    """A streamed one, chunk by chunk, to its proper end."""
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert "".join(part.choices[0].delta.content for part in stream) == TEXT


def test_completions(client):
    """The older API."""
    assert client.completions.create(model="m", prompt="hi").choices[0].text == TEXT


def test_embeddings(client):
    """A list of vectors."""
    answer = client.embeddings.create(model="m", input=["a", "b"], encoding_format="float")
    assert [len(row.embedding) for row in answer.data] == [3, 3]


def test_models(client):
    """The list, and one of it by alias."""
    assert [m.id for m in client.models.list()] == ["m"]
    assert client.models.retrieve("gpt-4o:latest").id == "m"


def test_wrong_model(client):
    """OpenAI's own error for a model that is not there."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nothing", messages=MESSAGES)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


def test_wrong_key(served):
    """OpenAI's own error for a key that is none."""
    made = openai.OpenAI(base_url=served, api_key="sk-wrong", max_retries=0, timeout=10)
    with contextlib.closing(made), pytest.raises(openai.AuthenticationError):
        made.models.list()


def test_model_dies_in_a_stream(client):
    """The stream raises instead of ending as if it were whole."""
    stream = client.chat.completions.create(
        model="m",
        messages=MESSAGES,
        stream=True,
        extra_body={"fake": {"die_after_chunks": 2}},
    )
    seen = []
    with pytest.raises(openai.APIError, match="closed the connection"):
        seen.extend(part.choices[0].delta.content for part in stream)
