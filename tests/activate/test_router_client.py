"""The control API's client: what it makes of answers, silence and nonsense."""

import contextlib
import socket
import threading

import pytest

from llmdecl.activate.ask import door_of, first_key
from llmdecl.activate.gates import gates
from llmdecl.activate.hands import Hands, Task
from llmdecl.activate.journal import Journal, JournalFile
from llmdecl.activate.managers.supervisord import Supervisord
from llmdecl.activate.router_client import RouterClient
from llmdecl.diagnostics import Failure
from llmdecl.paths import folders
from llmdecl.plan.model import Address

from .conftest import model, stack_plan


@contextlib.contextmanager
def scripted(run, answer):
    """A server that reads a request and sends `answer`; `None`: nothing, while the block runs."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(run / "router.sock"))
        listener.listen()
        kept = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(4096)
                    if answer is None:
                        kept.append(connection)
                        continue
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield RouterClient(run / "router.sock")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


def reply(status, body):
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_nobody_there(short_tmp):
    """Without a socket there is no status, and an order is a Failure."""
    client = RouterClient(short_tmp / "router.sock")
    assert client.status() is None
    with pytest.raises(Failure) as failure:
        client.start("smol", timeout_s=1)
    assert ["LD607"] == [d.code for d in failure.value.diagnostics]


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", reply(200, "{}"), reply(500, "x"), b""])
def test_nonsense_is_no_status(short_tmp, answer):
    """What is not a status is none."""
    with scripted(short_tmp, answer) as client:
        assert client.status(timeout_s=1) is None


def test_silence(short_tmp):
    """A status that does not come in time is none; an order's answer has status 504."""
    with scripted(short_tmp, None) as client:
        assert client.status(timeout_s=0.1) is None
        assert 504 == client.start("smol", timeout_s=0.1).status


def test_a_refusal_has_its_reason_and_log(short_tmp):
    """`error` and `log_tail` of the body, whatever else is in it."""
    with scripted(
        short_tmp, reply(502, '{"error": "no", "log_tail": "a\\nb", "new": 1}')
    ) as client:
        answer = client.start("smol", timeout_s=5)
        assert (False, "no", "a\nb") == (answer.ok, answer.error, answer.log_tail)
        with pytest.raises(Failure) as failure:
            client.reload(timeout_s=5)
    assert ["LD606"] == [d.code for d in failure.value.diagnostics]


@pytest.mark.parametrize(("load", "warned"), [("demand", True), ("startup", False)])
def test_no_room_for_what_ran_before(short_tmp, load, warned):
    """An on-demand model that finds no memory is a warning; a startup model fails its gate."""
    plan = stack_plan(model("smol", load=load))
    with scripted(short_tmp, reply(503, '{"error": "others use the memory"}')) as client:
        where = folders(state=short_tmp, environment={})
        hands = Hands(where, Supervisord(where), client, None, JournalFile(short_tmp))
        journal = Journal(verb="apply", pid=1, target=1, previous=None, restart=("smol",))
        task = Task(hands, journal, drain_timeout_s=1)
        goal = type("Goal", (), {"plan": plan})
        if warned:
            gates(task, goal)
            assert ["LD625"] == [d.code for d in task.warnings]
        else:
            with pytest.raises(Failure) as failure:
                gates(task, goal)
            assert ["LD608"] == [d.code for d in failure.value.diagnostics]


def test_the_way_to_a_model(short_tmp):
    """The first endpoint that serves it the OpenAI way, with a key; else its own socket."""
    keys = short_tmp / "keys"
    plan = stack_plan(model("smol"))
    (main,) = plan.endpoints
    one = main.replace(apis=("openai",), listen=Address(host="::", port=7))
    assert "::1" == door_of(plan.replace(endpoints=(main, one)), plan.models[0], short_tmp).host
    locked = one.replace(api_keys_file=str(keys))
    door = door_of(plan.replace(endpoints=(locked,)), plan.models[0], short_tmp)
    assert short_tmp / plan.models[0].socket == door.path
    keys.write_text("\n# comment\n  key \nother\n")
    assert "key" == first_key(str(keys))
    door = door_of(plan.replace(endpoints=(locked,)), plan.models[0], short_tmp)
    assert "Bearer key" == door.headers()["Authorization"]
    unix = one.replace(listen=Address(path="/run/x.sock"))
    door = door_of(plan.replace(endpoints=(unix,)), plan.models[0], short_tmp)
    assert "/run/x.sock" == str(door.path)
