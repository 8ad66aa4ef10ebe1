"""`llmdecl estimate` as a person calls it, and as a program reads it."""

import json

import pytest

from llmdecl.cli import run

FIELDS = ("weights", "kv_cache", "recurrent", "output", "compute")


def estimate(capsys, *words, expect=0):
    """Standard output and error."""
    assert run(["estimate", *map(str, words)]) == expect
    return capsys.readouterr()


def report(capsys, *words, expect=0):
    return json.loads(estimate(capsys, *words[:1], "--json", *words[1:], expect=expect).out)


def test_the_contract(capsys, smollm2):
    """Schema 1: devices in the order given, then the host, each with every field, in bytes."""
    devices = ("--device", "b:cuda:24GiB", "--device", "a:cuda:1GiB")
    found = report(capsys, smollm2, *devices, "--", "-ngl", "99", "-c", "4096", "-ts", "3,1")
    assert found["schema"] == 1
    assert [place["id"] for place in found["devices"]] == ["b", "a"]
    assert [place["backend"] for place in found["devices"]] == ["cuda", "cuda"]
    for place in (*found["devices"], found["host"]):
        assert place["total"] == sum(place[field] for field in FIELDS)
    assert found["n_ctx"] == 4096
    assert found["fits"] is True
    assert {"weights", "kv_cache", "recurrent", "output"} <= set(found["exact"])
    assert found["model"]["architecture"] == "llama"


def test_without_devices_all_is_the_hosts(capsys, smollm2):
    """CPU only; what is exact says so."""
    found = report(capsys, smollm2, "--cpu-features", "avx2")
    assert found["devices"] == []
    assert set(found["exact"]) == {*FIELDS, "total"}


@pytest.mark.parametrize("size", ["100MiB", "24GiB"])
def test_fits(capsys, smollm2, size):
    """A device that is too small does not hold it."""
    found = report(capsys, smollm2, "--device", f"gpu0:cuda:{size}", "--", "-c", "8192")
    assert found["fits"] is (size == "24GiB")


def test_an_unknown_version_is_not_exact(capsys, smollm2):
    """Rules of another version are a guess: LD903, nothing is called exact."""
    found = report(capsys, smollm2, "--engine-version", "b99999")
    assert found["exact"] == []
    assert "LD903" in estimate(capsys, smollm2, "--engine-version", "b99999").err


@pytest.mark.parametrize(
    "flags",
    ["-c x", "-c -1", "-c 99999999999", "-np 0", "-b 0", "-ngl -5", "-sm sideways", "-ctk q9",
     "-ot ((", "-ot up", "--pooling most", "-c", "-ctv q8_0 -fa off"],
)  # fmt: skip
def test_what_llama_server_would_refuse(capsys, smollm2, flags):
    """A diagnostic, no numbers, exit 1."""
    said = estimate(capsys, smollm2, "--", *flags.split(), expect=1)
    assert "LD902" in said.err
    assert "weights" not in said.out


@pytest.mark.parametrize(
    ("flags", "why"),
    [("-sm row", "`a` is a `cuda` device"), ("-sm tensor -fa off", "flash attention is off")],
)
def test_split_modes_that_do_not_start(capsys, smollm2, flags, why):
    """The engine would stop at these on such a device."""
    said = estimate(capsys, smollm2, "--device", "a:cuda:8GiB", "--", *flags.split(), expect=1)
    assert why in said.err


@pytest.mark.parametrize("flags", ["-ngl all", "-ngl auto", "-np -1", "-ub 0", "--temp 0.2 -t 3"])
def test_what_llama_server_takes(capsys, smollm2, flags):
    """Its own words, and flags that change no memory."""
    estimate(capsys, smollm2, "--", *flags.split())


@pytest.mark.parametrize("word", ["gpu0", "gpu0:cuda", "gpu0:cuda:much", "gpu0:abacus:1GiB"])
def test_devices_that_are_none(capsys, smollm2, word):
    """Wrong usage."""
    estimate(capsys, smollm2, "--device", word, expect=64)


def test_the_same_device_twice(capsys, smollm2):
    """Ids are unique."""
    devices = ("--device", "a:cuda:8GiB", "--device", "a:cuda:8GiB")
    assert "LD902" in estimate(capsys, smollm2, *devices, expect=1).err


def test_a_draft_has_defaults_of_its_own(capsys, smollm2):
    """All its layers are on the model's devices, its caches are F16, whatever the model has."""
    devices = ("--device", "a:cuda:8GiB", "--device", "b:cuda:8GiB")
    draft = ("-md", smollm2, "-c", "2048", "-ts", "3,1")
    plain = report(capsys, smollm2, *devices, "--", *draft)
    other = report(capsys, smollm2, *devices, "--", *draft, "-ngl", "5", "-ctk", "q8_0")
    assert other["companions"] == plain["companions"]
    (companion,) = plain["companions"]
    for place in (*plain["devices"], plain["host"]):
        held = place["total"] - place["output"] - place["compute"]
        assert held <= companion["bytes"][place["id"]]
