"""A stack under a user's own systemd: no root, models confined all the same."""

import pytest

from tests.systemd.test_stack import CONFINED, SPEC, Machine, port_of_nobody

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

NAME, UID = "someone", "1789"
HOME = f"/home/{NAME}"


class UserMachine(Machine):
    """The same for a user with linger."""

    words = (
        *("runuser", "-u", NAME, "--", "env", "-C", f"{HOME}/stack", f"HOME={HOME}"),
        *(f"XDG_RUNTIME_DIR=/run/user/{UID}", "PATH=/usr/bin:/bin"),
        f"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{UID}/bus",
    )

    def prepare(self):
        run = self.rig.run
        run("systemctl", "start", "systemd-logind")
        run("useradd", "--create-home", "--uid", UID, NAME)
        run("loginctl", "enable-linger", NAME)
        self.rig.until(
            lambda: run("test", "-S", f"/run/user/{UID}/bus", check=False).returncode == 0
        )

    def write(self, text):
        self.rig.write(f"{HOME}/stack/llmdecl.toml", text)
        self.rig.run("chown", "-R", f"{NAME}:", f"{HOME}/stack")

    def user(self, *words, check=True):
        return self.rig.run(*self.words, *words, check=check)

    def verb(self, *words, check=True):
        return self.user("/usr/bin/python3", "-m", "llmdecl", *words, check=check)

    def pid(self, name):
        shown = ("show", "-p", "MainPID", "--value", f"llmdecl-{name}.service")
        return self.user("systemctl", "--user", *shown).stdout.strip()


@pytest.fixture(scope="module")
def machine(rig, llama_server, smollm2):
    """Applied by a user."""
    text = SPEC.replace('kind = "systemd"', 'kind = "systemd-user"')
    machine = UserMachine(rig, llama_server, smollm2, port_of_nobody(), text)
    machine.verb("apply", "--yes")
    yield machine
    machine.verb("down", "--yes", check=False)


def test_a_user_has_the_stack(machine):
    """Both models answer; an edit restarts the one that it is about; nothing of it is root's."""
    machine.ask("first")
    machine.ask("two")
    before = {name: machine.pid(name) for name in ("router", "model-one", "model-two")}
    assert "0" not in before.values()
    machine.apply("[models.two]\n", "[models.two]\nctx-size = 256\n")
    machine.ask("two")
    after = {name: machine.pid(name) for name in before}
    assert {"model-two"} == {name for name in before if after[name] != before[name]}
    owner = machine.rig.run("ps", "-o", "uid=", "-p", ",".join(after.values())).stdout.split()
    assert {UID} == set(owner)


def test_a_users_model_is_confined(machine):
    """Without `PrivateUsers=` a user's manager would ignore most of it in silence. The list of
    processes is nothing that it can hide."""
    unit = f"{HOME}/.config/systemd/user/llmdecl-model-one.service"
    text = machine.rig.run("cat", unit).stdout
    skipped = ("Exec", "RuntimeDirectory=", "CacheDirectory", "Type=", "X-", "Slice=", "Bind")
    lines = [line for line in text.splitlines() if not line.startswith(skipped)]
    said = "%t/llmdecl/probe/said"
    command = f"/usr/bin/python3 /srv/rig/confined.py {machine.port} of-a-users %t/llmdecl > {said}"
    lines += ["BindPaths=%t/llmdecl/probe"]
    lines += ["RuntimeDirectory=llmdecl/probe", "RuntimeDirectoryPreserve=yes", "Type=oneshot"]
    lines += [f"ExecStart=/bin/sh -c '{command}; cat /proc/net/dev >> {said}'"]
    homes = 'fails(lambda: os.listdir("/home")) or not os.listdir("/home")'
    assert homes in CONFINED
    probe = CONFINED.replace(homes, 'fails(lambda: open("/home/someone/stack/x", "w"))')
    probe = probe.replace("/var/lib/llmdecl/measured", f"{HOME}/.local/state/llmdecl/measured")
    probe = probe.replace("/var/lib/llmdecl/x", f"{HOME}/x")
    probe = "".join(line for line in probe.splitlines(True) if "# not for a user's" not in line)
    (machine.rig.share / "confined.py").write_text(probe)
    machine.rig.write(f"{HOME}/.config/systemd/user/probe.service", "\n".join(lines) + "\n")
    machine.user("systemctl", "--user", "daemon-reload")
    machine.user("systemctl", "--user", "start", "probe.service")
    said = machine.rig.run("cat", f"/run/user/{UID}/llmdecl/probe/said").stdout
    machine.rig.run("rm", f"{HOME}/.config/systemd/user/probe.service")
    assert f"{[True] * 14}" in said
    assert ["lo:"] == [line.split()[0] for line in said.splitlines() if ":" in line]


def test_down_leaves_a_user_nothing(machine):
    """No unit and no process."""
    machine.verb("down", "--yes")
    left = machine.rig.run(
        "sh", "-c", f"ls {HOME}/.config/systemd/user | grep llmdecl", check=False
    )
    assert "" == left.stdout
    assert "" == machine.rig.run("pgrep", "-u", UID, "llama-server", check=False).stdout
