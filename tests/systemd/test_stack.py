"""A stack under a real systemd: real engine, real model, the verbs as people call them."""

import json
import shutil
import socket
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
STATE = "/var/lib/llmdecl"
FOLDERS = ("HOME=/srv/root",)
"""Root's own, without a stack from elsewhere: so the system's are taken."""

SPEC = """\
version = 1

[engines.llama]
kind = "llama.cpp"
provider = "path"
path = "/srv/rig/engine/bin/llama-server"

[host]
ram = "4GiB"

[defaults]
ctx-size = 512
threads = 2
ttl = "10m"

[models.one]
source = "file:/srv/rig/smollm2.gguf"
aliases = ["first"]
[models.two]
source = "file:/srv/rig/smollm2.gguf"

[endpoints.main]
listen = "127.0.0.1:{port}"

[manager]
kind = "systemd"
"""

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


class Machine:
    """The rig with llmdecl, an engine and a model on it."""

    def __init__(self, rig, llama_server, smollm2, port, spec=SPEC):
        self.rig, self.port = rig, port
        packages = sysconfig.get_paths()["purelib"]
        rig.write("/usr/lib/python3/dist-packages/zz-llmdecl.pth", f"{packages}\n{HERE}\n")
        shutil.copytree(llama_server.parents[1], rig.share / "engine", dirs_exist_ok=True)
        shutil.copy(smollm2, rig.share / "smollm2.gguf")
        rig.run("chmod", "-R", "a+rX", "/srv/rig")
        for unit in ("systemd-journald", "dbus", "polkit"):
            rig.run("systemctl", "start", unit)
        self.prepare()
        self.spec = spec.replace("{port}", str(port))
        self.write(self.spec)
        self.verb("lock")

    def prepare(self):
        """What else it takes."""

    def write(self, text):
        self.rig.write("/srv/stack/llmdecl.toml", text)

    def verb(self, *words, check=True):
        command = ["env", "-C", "/srv/stack", *FOLDERS, "/usr/bin/python3", "-m", "llmdecl", *words]
        return self.rig.run(*command, check=check)

    def apply(self, before, after):
        self.spec = self.spec.replace(before, after)
        self.write(self.spec)
        return self.verb("apply", "--yes").stdout

    def ask(self, model):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        words = ["curl", "-sS", "--max-time", "60", url, "-d", json.dumps(body)]
        answer = json.loads(self.rig.run(*words).stdout)
        assert answer["choices"][0]["message"]["content"]

    def pid(self, name):
        unit = f"llmdecl-{name}.service"
        return self.rig.run("systemctl", "show", "-p", "MainPID", "--value", unit).stdout.strip()

    def models(self):
        status = json.loads(self.verb("status", "--json").stdout)
        return {model["name"]: model for model in status["models"]}


@pytest.fixture(scope="module")
def machine(rig, llama_server, smollm2, free_port):
    """Applied, with both models loaded."""
    machine = Machine(rig, llama_server, smollm2, free_port)
    machine.verb("apply", "--yes")
    machine.ask("first")
    machine.ask("two")
    return machine


@pytest.fixture(scope="module")
def free_port():
    """A port of loopback that nobody has now."""
    return port_of_nobody()


def port_of_nobody():
    """The same, at any time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_edit_restarts_what_it_must(machine):
    """An alias reloads the router; a model's key restarts that model; nothing else moves."""
    before = {name: machine.pid(name) for name in ("router", "model-one", "model-two")}
    assert "0" not in before.values()
    machine.apply('aliases = ["first"]', 'aliases = ["first", "again"]')
    assert before == {name: machine.pid(name) for name in before}
    machine.ask("again")
    machine.apply("[models.two]\n", "[models.two]\nctx-size = 256\n")
    after = {name: machine.pid(name) for name in before}
    assert {"model-two"} == {name for name in before if after[name] != before[name]}
    machine.ask("two")


def test_what_is_missing_is_fetched(machine):
    """The unit of the boot brings what the generation in force names, and no model waits for it."""
    shown = machine.rig.run("systemctl", "show", "-p", "ActiveState", "llmdecl-fetch").stdout
    assert shown == "ActiveState=active\n"
    weights = f"{STATE}/store/weights"
    before = machine.rig.run("ls", weights).stdout
    machine.rig.run("sh", "-c", f"rm -r {weights}/*")
    machine.rig.run("systemctl", "restart", "llmdecl-fetch.service")
    assert before == machine.rig.run("ls", weights).stdout
    text = machine.rig.run("cat", "/etc/systemd/system/llmdecl-model-one.service").stdout
    assert "llmdecl-fetch" not in text


def test_models_outlive_their_router(machine):
    """A router that is killed comes back, as one does that is restarted, and takes over what runs;
    also what somebody had started without it."""
    model = machine.pid("model-one")
    machine.rig.run("systemctl", "stop", "llmdecl-model-two.service")
    machine.rig.run("systemctl", "start", "llmdecl-model-two.service")
    assert "unrouted" == machine.models()["two"]["state"]
    for ends in (("kill", "--signal=KILL"), ("restart",)):
        router = machine.pid("router")
        machine.rig.run("systemctl", *ends, "llmdecl-router.service")
        machine.rig.until(lambda before=router: machine.pid("router") not in ("0", before))
        machine.rig.until(lambda: machine.models()["one"]["adopted"])
    assert "ready" == machine.models()["two"]["state"]
    assert model == machine.pid("model-one")
    machine.ask("one")


def test_a_killed_model_answers_again(machine):
    """The next request starts it anew."""
    model = machine.pid("model-one")
    machine.rig.run("systemctl", "kill", "--signal=KILL", "llmdecl-model-one.service")
    machine.rig.until(lambda: machine.pid("model-one") == "0")
    machine.ask("one")
    assert machine.pid("model-one") not in ("0", model)


DROP_IN = "/etc/systemd/system/llmdecl-model-two.service.d/mine.conf"


def test_a_model_that_dies_at_its_start(machine):
    """Whoever asks is told at once, `status` and systemd say it too, and once the cause is mended
    it answers. A drop-in of the administrator's holds, and outlives an apply."""
    machine.rig.write(DROP_IN, "[Service]\nExecStart=\nExecStart=/bin/false\n")
    machine.rig.run("systemctl", "daemon-reload")
    assert "no changes" in machine.verb("plan").stdout
    machine.verb("stop", "two")
    for _ in range(2):
        failed = machine.verb("start", "two", check=False)
        assert (3, True) == (
            failed.returncode,
            "LD608" in failed.stderr or "LD624" in failed.stderr,
        )
        two = machine.models()["two"]
        assert ("backoff", "the process ended while it was starting") == (
            two["state"],
            two["error"],
        )
    unit = "llmdecl-model-two.service"
    machine.rig.until(
        lambda: "failed" == machine.rig.run("systemctl", "is-failed", unit, check=False).stdout[:6]
    )
    machine.apply('aliases = ["first", "again"]', 'aliases = ["first", "more"]')
    machine.rig.run("rm", "-r", DROP_IN.rpartition("/")[0])
    machine.rig.run("systemctl", "daemon-reload")
    machine.verb("start", "two")
    machine.ask("two")


def test_what_others_have_stays_theirs(machine):
    """A model that is no longer wanted goes with all that was its own. A unit of a wanted name that
    is not ours, and units of the stack of another state folder, are refused before anything
    changes; so is a user who is not root. A file of ours that somebody removed is missed, and
    installed again."""
    three = "/etc/systemd/system/llmdecl-model-three.service"
    machine.rig.write(three, "[Service]\nExecStart=/bin/sleep 9\n")
    more = '[models.three]\nsource = "file:/srv/rig/smollm2.gguf"\n[models.two]\n'
    machine.write(machine.spec.replace("[models.two]\n", more))
    refused = machine.verb("apply", "--yes", check=False)
    assert (1, True) == (refused.returncode, "LD633" in refused.stderr)
    assert "sleep 9" in machine.rig.run("cat", three).stdout
    machine.rig.run("rm", three)
    machine.verb("apply", "--yes")
    machine.verb("start", "three")
    machine.write(machine.spec)
    assert "restart or stop: three" in machine.verb("apply", "--yes").stdout
    left = ("/run/llmdecl/three", three)
    assert not any(machine.rig.run("test", "-e", p, check=False).returncode == 0 for p in left)
    for verb in (("plan",), ("apply", "--yes")):
        refused = machine.verb(*verb, "--state-dir", "/srv/another", check=False)
        assert (1, True) == (refused.returncode, "LD634" in refused.stderr)
    as_nobody = ("runuser", "-u", "nobody", "--", "env", "-C", "/srv/stack", "HOME=/tmp")
    words = ("/usr/bin/python3", "-m", "llmdecl", "plan")
    assert "LD634" in machine.rig.run(*as_nobody, *words, check=False).stderr
    rights = "/etc/polkit-1/rules.d/49-llmdecl.rules"
    machine.rig.run("rm", rights)
    assert rights in machine.verb("status").stdout
    machine.verb("apply", "--yes")
    machine.rig.run("test", "-e", rights)


def test_a_boot_brings_it_up(machine):
    """The target is what a boot starts; with a runtime folder that is empty all is there again."""
    enabled = machine.rig.run("systemctl", "is-enabled", "llmdecl.target").stdout.strip()
    wanted = machine.rig.run(
        "systemctl", "list-dependencies", "--plain", "multi-user.target"
    ).stdout
    assert ("enabled", True) == (enabled, "llmdecl.target" in wanted)
    units = [f"llmdecl-model-{name}.service" for name in ("one", "two")]
    machine.rig.run("systemctl", "stop", "llmdecl.target", *units)
    machine.rig.run("rm", "-r", "/run/llmdecl")
    machine.rig.run("systemctl", "start", "llmdecl.target")
    machine.rig.until(lambda: machine.verb("status", check=False).stdout.count("is up\n"))
    machine.ask("one")
    machine.ask("two")
    assert "no changes" in machine.verb("plan").stdout


CONFINED = """
import os, socket, sys
def fails(what):
    try:
        what()
    except OSError:
        return True
    return False
def tcp():
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2)
pids = [name for name in os.listdir("/proc") if name.isdecimal()]
caps = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]
print([
    fails(tcp),
    {os.getuid()} == {os.stat("/proc/" + name).st_uid for name in pids},  # not for a user's
    {0} == {int(each, 16) for each in caps},
    fails(lambda: open("/var/lib/llmdecl/measured/x", "w")),
    fails(lambda: open(sys.argv[3] + "/two/x", "w")),
    ["probe"] == os.listdir(sys.argv[3]),
    open("/dev/shm/" + sys.argv[2], "w").close() is None,
    open("/tmp/" + sys.argv[2], "w").close() is None,
    fails(lambda: os.listdir("/home")) or not os.listdir("/home"),
    fails(lambda: os.listdir("/root")) or not os.listdir("/root"),
    fails(lambda: open("/var/lib/llmdecl/x", "w")),
    fails(lambda: open("/srv/x", "w")),
    fails(lambda: open("/etc/x", "w")),
    fails(lambda: open("/dev/kmsg")),
    not fails(lambda: open(os.environ["RUNTIME_DIRECTORY"] + "/x", "w")),
])
"""


def test_a_model_is_confined(machine):
    """A program in a model's unit opens no TCP, reads no home, sees nobody else's processes, has no
    capability and writes only into its folders, even where its account may."""
    unit = machine.rig.run("cat", "/etc/systemd/system/llmdecl-model-one.service").stdout
    lines = [
        line
        for line in unit.splitlines()
        if not line.startswith(("Exec", "RuntimeDirectory=", "Type=", "X-", "Bind"))
    ]
    assert "BindPaths=/run/llmdecl/one\n" in unit
    lines += ["RuntimeDirectory=llmdecl/probe", "BindPaths=/run/llmdecl/probe"]
    lines += ["Type=oneshot", "StandardOutput=journal"]
    words = f"{machine.port} of-a-model /run/llmdecl"
    lines += [f"ExecStart=/usr/bin/python3 /srv/rig/confined.py {words}"]
    (machine.rig.share / "confined.py").write_text(CONFINED)
    machine.rig.run("mkdir", "-p", "/home/somebody/secret")
    machine.rig.write("/run/systemd/system/probe.service", "\n".join(lines) + "\n")
    machine.rig.run("systemctl", "daemon-reload")
    machine.rig.run("systemctl", "start", "probe.service")
    said = machine.rig.run("journalctl", "-u", "probe", "-o", "cat", "--no-pager").stdout
    assert f"{[True] * 15}" in said
    for folder in ("/dev/shm", "/tmp"):
        assert machine.rig.run("test", "-e", f"{folder}/of-a-model", check=False).returncode == 1


def test_the_router_may_do_just_that(machine):
    """Its account starts and stops the models' units, and no other unit, and makes none."""

    def as_account(*words):
        command = ("runuser", "-u", "llmdecl", "--", *words)
        return machine.rig.run(*command, check=False).returncode

    ask = ("systemctl", "--no-ask-password")
    assert 0 == as_account(*ask, "restart", "llmdecl-model-two.service")
    for verb in ("stop", "restart"):
        assert 0 != as_account(*ask, verb, "llmdecl-router.service")
        assert 0 != as_account(*ask, verb, "dbus.service")
    assert 0 != as_account(*ask, "kill", "llmdecl-model-two.service")
    assert 0 != as_account(*ask, "daemon-reload")
    assert 0 != as_account(*ask, "set-property", "llmdecl-model-two.service", "CPUWeight=1")
    new = ("systemd-run", "--no-ask-password")
    assert 0 != as_account(*new, "--unit=llmdecl-model-three", "/usr/bin/true")
    machine.rig.run("systemctl", "stop", "llmdecl-model-two.service")
    assert 0 != as_account(*new, "--unit=llmdecl-model-two", "/usr/bin/true")


def test_the_router_takes_systemds_sockets(machine):
    """With socket activation it has no network, and serves all the same; a request that comes
    while there is no router waits for one; another address is taken over; models live on."""
    model = machine.pid("model-one")
    machine.apply("[manager]\n", "[manager]\nsocket-activation = true\n")
    machine.ask("one")
    net = "/proc/{}/net/tcp"
    router = machine.rig.run("cat", net.format(machine.pid("router"))).stdout
    assert len(router.splitlines()) == 1, "the router sees a network"
    machine.rig.run("systemctl", "stop", "llmdecl-router.service")
    machine.ask("one")
    old, machine.port = machine.port, port_of_nobody()
    machine.apply(f'listen = "127.0.0.1:{old}"', f'listen = "127.0.0.1:{machine.port}"')
    machine.ask("one")
    assert machine.rig.run("curl", f"http://127.0.0.1:{old}/health", check=False).returncode == 7
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f'listen = "127.0.0.1:{machine.port}"'
        other = listen.replace(str(machine.port), str(taken.getsockname()[1]))
        machine.write(machine.spec.replace(listen, other))
        refused = machine.verb("apply", "--yes", check=False)
        assert (3, True) == (refused.returncode, "llmdecl-endpoint-main.socket" in refused.stderr)
    machine.write(machine.spec)
    machine.ask("one")
    assert "no changes" in machine.verb("plan").stdout
    assert model == machine.pid("model-one")


def test_keys_stay_roots(machine):
    """A file that root alone reads, by any name: systemd hands it to the router, which asks for a
    key."""
    folder = "/srv/its keys"
    machine.rig.run("mkdir", "-m", "700", folder)
    machine.rig.write(f"{folder}/100%.txt", "sk-1\n")
    machine.rig.run("chmod", "600", f"{folder}/100%.txt")
    line = f'[endpoints.main]\napi-keys-file = "{folder}/100%.txt"\n'
    machine.apply("[endpoints.main]\n", line)
    asked = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}")
    url = f"http://127.0.0.1:{machine.port}/v1/models"
    machine.rig.until(lambda: machine.rig.run(*asked, url, check=False).stdout == "401")
    assert machine.rig.run(*asked, "-H", "Authorization: Bearer sk-1", url).stdout == "200"
    machine.apply(line, "[endpoints.main]\n")


def test_idle_models_are_unloaded_and_models_make_room(machine):
    """After its `ttl` a unit ends; where memory is for one of two, the other one swaps in."""
    machine.apply('ttl = "10m"', 'ttl = "1s"')
    machine.ask("one")
    machine.rig.until(lambda: machine.pid("model-one") == "0")
    machine.apply('ttl = "1s"', 'ttl = "10m"')
    machine.apply('ram = "4GiB"', 'ram = "1300MiB"')
    machine.ask("one")
    assert machine.pid("model-one") != "0"
    machine.ask("two")
    assert ("0", True) == (machine.pid("model-one"), machine.pid("model-two") != "0")
    machine.ask("one")
    assert (True, "0") == (machine.pid("model-one") != "0", machine.pid("model-two"))
    machine.apply('ram = "1300MiB"', 'ram = "4GiB"')


def test_back_and_down(machine):
    """Rollback restores the generation before; down leaves nothing running and no unit."""
    machine.apply("[models.one]\n", "[models.one]\nctx-size = 256\n")
    machine.ask("one")
    machine.verb("rollback", "--yes")
    machine.ask("one")
    said = machine.verb("logs", "one").stdout
    assert "n_ctx" in said or "slots are idle" in said
    machine.verb("down", "--yes")
    left = machine.rig.run("sh", "-c", "ls /etc/systemd/system | grep llmdecl", check=False)
    assert "" == left.stdout
    running = machine.rig.run("systemctl", "list-units", "--no-legend", "llmdecl*.service").stdout
    assert "running" not in running
