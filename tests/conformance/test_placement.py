"""The real engine on devices behind `ggml-rpc-server`: where the plan says, and as much."""

import json
from urllib.request import Request, urlopen

import pytest

from llmdecl.engines.llama_cpp.load_log import ROUNDING_BYTES, last_start, read_load_log
from llmdecl.plan.model import Plan
from llmdecl.values import from_json
from tests.conformance.conftest import rpc_servers

pytestmark = pytest.mark.real

HEAD = """
version = 1

[host]
vram-margin = "64MiB"
devices = [
  {{ id = "near", backend = "rpc", memory = "300MiB", endpoint = "127.0.0.1:{ports[0]}" }},
  {{ id = "far", backend = "rpc", memory = "260MiB", endpoint = "127.0.0.1:{ports[1]}" }},
]

[engines.llama]
kind = "llama.cpp"
provider = "path"
path = "{engine}"

[defaults]
task = "completion"
ctx-size = 1024
ubatch-size = 64
threads = 2

[endpoints.main]
listen = "127.0.0.1:PORT"
"""

SPEC = (
    HEAD
    + """
[models.split]
source = "file:{gemma3}"

[models.some]
source = "file:{gemma3}"
devices = ["near"]
n-gpu-layers = 7
override-tensor = ['blk\\.15\\.ffn_.*=CPU']

[models.given]
source = "file:{smollm2}"
devices = ["far", "near"]
tensor-split = [2, 1]

[models.cpu]
source = "file:{smollm2}"
devices = []
"""
)


@pytest.fixture
def rpc_ports(llama_server):
    """Two servers, each a pretend accelerator of its own."""
    with rpc_servers(llama_server, 2) as ports:
        yield ports


def test_every_layer_is_where_the_plan_says(stack, llama_server, gemma3, smollm2, rpc_ports):
    """Devices, layers, weights and caches in the engine's log are those of the plan, to the
    rounding of the log: a split that was solved, one that was given, layers on the CPU, an
    override, and a model that keeps away from devices."""
    stack.write(SPEC.format(ports=rpc_ports, engine=llama_server, gemma3=gemma3, smollm2=smollm2))
    stack.apply()
    plan = from_json((stack.folder / "state/current/plan.json").read_bytes(), Plan)
    places = {model.name: model.placement for model in plan.models}
    assert places["split"].devices == ("near", "far")
    assert places["given"].devices == ("far", "near")
    assert places["given"].layers == (21, 10)
    assert not places["cpu"].devices
    for model in plan.models:
        body = json.dumps({"model": model.name, "prompt": "Hello", "max_tokens": 2})
        with urlopen(Request(f"{stack.url}/v1/completions", body.encode()), timeout=120) as answer:
            assert answer.status == 200
        log = (stack.folder / f"state/logs/model-{model.name}.log").read_text(errors="replace")
        (reported,) = read_load_log(last_start(log))
        place = model.placement
        assert reported.devices == place.engine_devices
        assert reported.on_devices == place.n_gpu_layers
        names = dict(zip(place.engine_devices, place.devices, strict=True)) | {"host": "host"}
        for (where, part), size in reported.sums().items():
            planned = sum(p.bytes for p in model.memory if (p.pool, p.part) == (names[where], part))
            if part == "kv-cache" or (part == "weights" and where != "host"):
                assert abs(planned - size) <= 8 * ROUNDING_BYTES, (model.name, where, part)


CUT = (
    HEAD
    + """
[models.cut]
source = "file:{smollm2}"
split-mode = "tensor"

[models.waits]
source = "file:{smollm2}"
devices = ["far"]
n-gpu-layers = "all"
"""
)


def test_matrices_are_cut_and_a_server_has_one_client(stack, llama_server, smollm2, rpc_ports):
    """`split-mode = "tensor"` starts, on both devices; a model on one of them, whose server would
    keep it waiting for ever, is loaded when the first is gone."""
    stack.write(CUT.format(ports=rpc_ports, engine=llama_server, smollm2=smollm2))
    stack.apply()
    plan = from_json((stack.folder / "state/current/plan.json").read_bytes(), Plan)
    served = {model.name: model.placement.served for model in plan.models}
    assert served == {"cut": ("near", "far"), "waits": ("far",)}
    for name in ("cut", "waits", "cut"):
        body = json.dumps({"model": name, "prompt": "Hello", "max_tokens": 2})
        with urlopen(Request(f"{stack.url}/v1/completions", body.encode()), timeout=120) as answer:
            assert answer.status == 200
        shown = stack.cli("status")
        assert " far 31/31 layers" in shown or name == "cut"
        assert ("near+far 31/31 layers" in shown) == (name == "cut")
