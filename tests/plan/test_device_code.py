"""Code for the devices that a model is on, of engines that are built from source."""

from types import SimpleNamespace
from typing import Any

import pytest

from llmdecl.engines import rules
from llmdecl.plan.checks.device_code import check_device_code


def subject(
    device: str,
    words: tuple[str, ...] | None,
    override: str | None = None,
    on: bool = True,
    node: str = "",
) -> Any:
    """A model on one device, `hip:gfx1031`, with an engine for these architectures."""
    backend, _, architecture = device.partition(":")
    return SimpleNamespace(
        name="qwen",
        address=lambda key: f"models.qwen.{key}",
        environment_address="models.qwen.environment",
        given_environment=((f"HSA_OVERRIDE_GFX_VERSION{node}", override),) if override else (),
        placement=SimpleNamespace(devices=("gpu0",) if on else ()),
        reach=(SimpleNamespace(id="gpu0", backend=backend, architecture=architecture or None),),
        engine=SimpleNamespace(
            name="llama",
            plan=SimpleNamespace(recipe=words and SimpleNamespace(architectures=words)),
        ),
    )


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (subject("cuda:sm_86", ("sm_86",)), None),
        (subject("cuda:sm_89", ("sm_86",)), None),
        (subject("cuda:sm_75", ("sm_86",)), rules.DEVICE_NOT_COVERED),
        (subject("cuda:sm_75", ("sm_86",), on=False), None),
        (subject("cuda:sm_75", None), None),  # not built here: the engine's own word counts
        (subject("vulkan", ("sm_86",)), None),
        (subject("hip:gfx1031", ("gfx1030", "gfx1031")), rules.NEEDS_OVERRIDE),
        (subject("hip:gfx1031", ("gfx1030", "gfx1031"), "10.3.0"), None),
        (subject("hip:gfx1031", ("gfx1031",)), None),  # TheRock's libraries have it
        (subject("hip:gfx1031", ("gfx1030",)), rules.DEVICE_NOT_COVERED),
        (subject("hip:gfx1031", ("gfx1030",), "11.0.0"), rules.DEVICE_NOT_COVERED),
        (subject("hip:gfx1100", ("gfx1030",)), rules.DEVICE_NOT_COVERED),
        (subject("hip:gfx1152", ("gfx1150", "gfx1152"), "11.5.0"), None),
        # beside a gfx1032: the override is for both, and RDNA 3 can't run RDNA 2's code
        (
            subject("hip:gfx1100", ("gfx1030", "gfx1032", "gfx1100"), "10.3.0"),
            rules.DEVICE_NOT_COVERED,
        ),
        (subject("hip:gfx1032", ("gfx1030",), "10.3.0", node="_2"), None),
        (subject("hip:gfx1100", ("gfx1030", "gfx1100"), "10.3.0", node="_2"), None),
        (subject("hip:gfx1032", ("gfx1100",), "10.3.0", node="_2"), rules.DEVICE_NOT_COVERED),
    ],
)
def test_a_model_is_on_devices_that_have_code(made: Any, code: rules.Rule | None) -> None:
    """A device without code is an error, and a known relative's code a warning or its remedy."""
    assert [d.code for d in check_device_code(made)] == ([] if code is None else [code.code])


def test_an_override_that_another_device_can_not_bear_is_no_help() -> None:
    """On a gfx1032 beside a gfx1100 the override is for the one node, in words and not as help."""
    made = subject("hip:gfx1032", ("gfx1030", "gfx1032", "gfx1100"))
    beside = SimpleNamespace(id="gpu1", backend="hip", architecture="gfx1100")
    made.reach = (*made.reach, beside)
    (found,) = check_device_code(made)
    assert found.help == ('`environment = { HSA_OVERRIDE_GFX_VERSION = "10.3.0" }` runs it',)
    made.placement = SimpleNamespace(devices=("gpu0", "gpu1"))
    (found,) = check_device_code(made)
    assert (found.code, found.help) == (rules.NEEDS_OVERRIDE.code, ())
    assert "HSA_OVERRIDE_GFX_VERSION_N = 10.3.0" in found.notes[-1]


def test_help_is_a_known_pair_whose_code_is_there() -> None:
    """The override is offered only where the table has it and the engine has its code."""
    (found,) = check_device_code(subject("hip:gfx1103", ("gfx1102",)))
    assert found.help == ('`environment = { HSA_OVERRIDE_GFX_VERSION = "11.0.2" }` runs it',)
    (found,) = check_device_code(subject("hip:gfx1103", ("gfx1100",)))
    assert found.help == ('`environment = { HSA_OVERRIDE_GFX_VERSION = "11.0.0" }` runs it',)
    (found,) = check_device_code(subject("hip:gfx1103", ("gfx1030",)))
    assert found.help == ()
