"""The table of backends."""

from typing import get_args

import pytest

from llmdecl.backends.table import BACKENDS, backend_of_device
from llmdecl.spec.schema import Device


def test_the_spec_and_the_table_know_the_same_backends():
    """Every word that a device's `backend` takes has a row, and the other way round."""
    words = get_args(Device.model_fields["backend"].annotation)
    assert set(words) == set(BACKENDS)
    assert all(name == backend.name for name, backend in BACKENDS.items())


@pytest.mark.parametrize(
    ("engine_name", "expected"),
    [
        ("CUDA0", ("cuda", 0)),
        ("ROCm1", ("hip", 1)),
        ("Vulkan12", ("vulkan", 12)),
        ("SYCL0", ("sycl", 0)),
        ("MTL0", ("metal", 0)),
        ("RPC3", ("rpc", 3)),
    ],
)
def test_an_engine_names_a_device_by_prefix_and_number(engine_name, expected):
    found = backend_of_device(engine_name)
    assert found is not None
    assert expected == (found[0].name, found[1])


@pytest.mark.parametrize("engine_name", ["CUDA", "CUDA0_Host", "cuda0", "BLAS", "OPENCL0", "CUDA٣"])
def test_other_names_are_no_devices(engine_name):
    assert backend_of_device(engine_name) is None


def test_only_uuid_variables_say_how_a_uuid_begins():
    """A variable that takes indices takes no UUID, so a device behind it can't be pinned."""
    for backend in BACKENDS.values():
        if backend.visible_devices is not None:
            pins = backend.visible_devices.takes == "uuid"
            assert pins == bool(backend.visible_devices.uuid_prefixes)


def test_overhead_is_known_better_for_some_architectures():
    overhead = BACKENDS["cuda"].driver_overhead
    assert overhead.on("sm_89") == 480 << 20
    assert overhead.on("sm_999") == overhead.on(None) == overhead.bytes
