"""What the real engine lists."""

import contextlib
import socket
import subprocess
import time

import pytest

from llmdecl.facts.engine import list_devices, probe_engine
from llmdecl.facts.engine_text import parse_devices
from llmdecl.facts.hardware import look

pytestmark = pytest.mark.real


def test_a_device_behind_an_rpc_server(llama_server):
    """The engine's own line for it: a number, the endpoint, and memory in MiB."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = f"127.0.0.1:{port}"
    words = [llama_server.with_name("ggml-rpc-server"), "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            said = subprocess.run(
                [llama_server, "--rpc", endpoint, "--list-devices"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        finally:
            server.kill()
    (line,) = [line for line in parse_devices(said.stdout) if line.backend == "rpc"]
    assert ("RPC0", 0, endpoint) == (line.name, line.index, line.description)
    assert line.memory_bytes > 1 << 30


def test_what_it_lists_here_are_devices_of_this_machine(llama_server, tmp_path):
    """Every line has an id, and what it says of a device's memory is believed."""
    listed, found = list_devices(llama_server, address="engines.llama.path", cache=tmp_path)
    assert () == found
    assert listed is not None
    engine, _ = probe_engine(llama_server)
    looked = look(None, {"llama": engine})
    assert [line.name for line in listed] == [line.name for line in looked.engines["llama"].devices]
    devices = {device.id: device for device in looked.host.devices}
    for line in looked.engines["llama"].devices:
        assert line.backend in devices[line.id].backends
