"""`llmdecl estimate` against what the real engine says that it has allocated.

The engine loads the model without mapping it and prints MiB with two decimals. On the CPU and on
one device every field is what is printed. With several devices an estimate is a dry run's, as
`--fit` makes it; a real load keeps norms at a border with their weights, and needs that much or
less of work buffers.
"""

import json

import pytest

from llmdecl.cli import run
from llmdecl.engines.llama_cpp.load_log import ROUNDING_BYTES
from tests.conformance.conftest import rpc_servers

pytestmark = pytest.mark.real

EXACT = ("weights", "kv_cache", "recurrent", "output")
BUFFERS_A_FIELD = 3
"""Most buffers that one field is the sum of; each is rounded by itself."""

SLACK_BYTES = BUFFERS_A_FIELD * ROUNDING_BYTES

ON_CPU = (
    "-c 2048 -np 1",
    "-c 4096 -np 4",
    "-c 2048 -np 2 -ctk q8_0 -fa on",
    "-c 2048 -np 1 -fa off",
    "-c 1024 -np 1 -ub 64 -b 128",
    "-c 1024 --embedding -np 2 -ub 256",
)
ON_ONE = (
    "-ngl 99 -c 2048 -np 1",
    "-ngl 7 -c 2048 -np 2",
    "-ngl 99 -c 2048 -np 4 -ctk q8_0 -ctv q8_0",
    "-ngl 99 -c 1024 -np 1 -fa off -ub 128",
    "-ngl 99 -c 1024 -np 1 -nkvo",
    "-ngl 0 -c 1024 -np 1",
    "-ngl 99 -c 1024 -np 1 -ot ffn_down=CPU",
    "-ngl 99 -c 1024 --embedding -np 1",
)
ON_TWO = (
    "-ngl 99 -c 2048 -np 1 -ts 1,1",
    "-ngl 99 -c 2048 -np 2 -ts 3,1 -ctk q8_0",
    "-ngl 9 -c 1024 -np 1 -ts 1,2",
    "-ngl 99 -c 1024 -np 1 -sm none -mg 1",
)


@pytest.fixture(scope="module")
def servers(llama_server):
    """Endpoints of two `ggml-rpc-server`, each a device that computes on the processor."""
    with rpc_servers(llama_server, 2) as ports:
        yield [f"127.0.0.1:{port}" for port in ports]


def verified(capsys, llama_server, model, flags, endpoints=()):
    """Fields by place, estimated and measured."""
    words = ["estimate", str(model), "--json", "--verify", "--engine", str(llama_server)]
    for number in range(len(endpoints)):
        words += ["--device", f"RPC{number}:rpc:16GiB"]
    more = ["--rpc", ",".join(endpoints)] if endpoints else ["--device", "none"]
    assert run([*words, "--", *flags.split(), "-t", "1", *more]) == 0
    report = json.loads(capsys.readouterr().out)
    places = {place["id"]: place for place in (*report["devices"], report["host"])}
    return places, report["measured"]


def compared(places, measured, *, dry=False):
    """Every field of every place; `dry`: a work buffer may turn out smaller."""
    assert {name for name, fields in measured.items() if fields["total"]} <= places.keys()
    for name, place in places.items():
        seen = measured.get(name, dict.fromkeys((*EXACT, "compute"), 0))
        for field in EXACT:
            assert abs(place[field] - seen[field]) <= SLACK_BYTES, (name, field)
        off = place["compute"] - seen["compute"]
        assert -SLACK_BYTES <= off, (name, place["compute"], seen["compute"])
        assert dry or off <= SLACK_BYTES, (name, place["compute"], seen["compute"])


@pytest.fixture(params=["smollm2", "gemma3"])
def model(request):
    """Both small models."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("flags", ON_CPU)
def test_on_the_cpu(capsys, llama_server, model, flags):
    """Every component is what the engine prints."""
    compared(*verified(capsys, llama_server, model, flags))


@pytest.mark.parametrize("flags", ON_ONE)
def test_on_one_device(capsys, llama_server, model, servers, flags):
    """The same with a device: whole, some layers, caches elsewhere, overrides."""
    compared(*verified(capsys, llama_server, model, flags, servers[:1]))


@pytest.mark.parametrize("flags", ON_TWO)
def test_on_two_devices(capsys, llama_server, model, servers, flags):
    """The same with two; their work buffers are never larger than estimated."""
    places, measured = verified(capsys, llama_server, model, flags, servers)
    compared(places, measured, dry=True)


@pytest.mark.parametrize("shares", ["1,1", "3,1"])
def test_devices_that_compute_as_one(capsys, llama_server, smollm2, servers, shares):
    """Of matrices that are cut the engine prints what the device with most of them has."""
    flags = f"-ngl 99 -c 2048 -np 1 -fa on -sm tensor -ts {shares}"
    places, measured = verified(capsys, llama_server, smollm2, flags, servers)
    assert measured.pop("RPC1") == measured["RPC0"]
    assert places.pop("RPC1")["total"] <= places["RPC0"]["total"] + SLACK_BYTES
    compared(places, measured)
