"""A stack without a router: systemd's sockets start models, idle time ends them."""

import json

import pytest

from tests.systemd.test_stack import SPEC, Machine, port_of_nobody

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def machine(rig, llama_server, smollm2):
    """Applied: `one` has an endpoint of its own, `two` another; nothing is loaded."""
    ports = port_of_nobody(), port_of_nobody()
    text = SPEC.replace("{port}", str(ports[0])).replace('ttl = "10m"', 'ttl = "2s"')
    text = text.replace("[endpoints.main]", '[endpoints.main]\nmodels = ["one"]')
    text += f'[endpoints.two]\nmodels = ["two"]\nlisten = "127.0.0.1:{ports[1]}"\n'
    text += '[router]\nkind = "none"\n'
    machine = Machine(rig, llama_server, smollm2, ports[0], text)
    machine.ports = dict(zip(("one", "two"), ports, strict=True))
    said = machine.verb("apply", "--yes")
    assert "cannot express" in said.stderr
    yield machine
    machine.verb("down", "--yes", check=False)


def ask(machine, name):
    """An answer at the model's own address."""
    machine.port = machine.ports[name]
    machine.ask(name)


def test_the_first_request_starts_a_model_and_idling_ends_it(machine):
    """No process of ours is there; the other model stays unloaded."""
    assert machine.pid("model-one") == "0"
    ask(machine, "one")
    assert machine.pid("model-one") != "0"
    assert machine.pid("model-two") == "0"
    assert machine.models()["one"]["state"] == "ready"
    machine.rig.until(lambda: machine.pid("model-one") == "0")
    assert machine.models()["one"]["state"] == "stopped"
    status = json.loads(machine.verb("status", "--json").stdout)
    assert {f"127.0.0.1:{port}" for port in machine.ports.values()} == {
        each["listen"] for each in status["endpoints"]
    }
    assert machine.verb("plan").stdout.count("no changes") == 1


def test_a_killed_model_comes_back(machine):
    """By systemd's own restart, while somebody is connected."""
    machine.apply('ttl = "2s"', 'ttl = "60s"')
    ask(machine, "one")
    before = machine.pid("model-one")
    machine.rig.run("systemctl", "kill", "--signal=KILL", "llmdecl-model-one.service")
    machine.rig.until(lambda: machine.pid("model-one") not in ("0", before))
    ask(machine, "one")


def test_a_model_that_gives_up(machine):
    """One that dies at each start takes its socket along; `status` says so, and once the cause is
    mended, `start` brings both back."""
    folder = "/etc/systemd/system/llmdecl-model-two.service.d"
    never = "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=50ms\n"
    machine.rig.write(f"{folder}/mine.conf", never)
    machine.rig.run("systemctl", "daemon-reload")
    address = f"http://127.0.0.1:{machine.ports['two']}/health"
    machine.rig.run("curl", "-sS", "--max-time", "20", address, check=False)
    machine.rig.until(lambda: "failed" == machine.models()["two"]["state"])
    assert "`llmdecl start two` tries again" in machine.models()["two"]["error"]
    machine.rig.run("rm", "-r", folder)
    machine.rig.run("systemctl", "daemon-reload")
    machine.verb("start", "two")
    ask(machine, "two")


def test_an_edit_restarts_one_model(machine):
    """Only the model whose key changed, and it runs again; another idle time restarts none."""
    ask(machine, "one")
    ask(machine, "two")
    before = {name: machine.pid(f"model-{name}") for name in ("one", "two")}
    machine.apply("[models.two]\n", "[models.two]\nctx-size = 256\n")
    machine.rig.until(lambda: machine.pid("model-two") not in ("0", before["two"]))
    assert before["one"] == machine.pid("model-one")
    ask(machine, "two")
    machine.apply('ttl = "60s"', 'ttl = "90s"')
    assert before["one"] == machine.pid("model-one")
    ask(machine, "one")


def test_another_address_and_down(machine):
    """The old address is closed, the new one answers; afterwards nothing is left."""
    old = machine.ports["two"]
    machine.ports["two"] = new = port_of_nobody()
    machine.apply(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    ask(machine, "two")
    assert machine.rig.run("curl", f"http://127.0.0.1:{old}/health", check=False).returncode == 7
    machine.verb("down", "--yes")
    left = machine.rig.run("sh", "-c", "ls /etc/systemd/system | grep llmdecl", check=False)
    assert "" == left.stdout
    assert machine.rig.run("curl", f"http://127.0.0.1:{new}/health", check=False).returncode == 7
