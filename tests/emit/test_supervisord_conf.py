"""The golden configurations, read by supervisord's own option parser."""

import os
from unittest import mock

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.plan.model import Root
from tests.emit import supervisord_reader
from tests.test_golden import CASES, read_case

GOOD = [case for case in CASES if (case / "expected/supervisord").exists()]


@pytest.fixture(params=GOOD, ids=lambda case: case.name)
def stack(request, tmp_path):
    compiled = compile_spec(*read_case(request.param))
    for artefact in compiled.artefacts:
        path = tmp_path / "wanted" / artefact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artefact.text, encoding="utf-8")
    (tmp_path / "state of things" / "logs").mkdir(parents=True)
    folders = {
        "LLMDECL_STATE": str(tmp_path / "state of things"),
        "LLMDECL_RUN": str(tmp_path),
        "LLMDECL_STORE": "/the store",
        "LLMDECL_STACK": "0123abcd",
        "LLMDECL_PYTHON": "/usr/bin/my python",
    }
    with mock.patch.dict(os.environ, folders):
        path = tmp_path / "wanted/supervisord/supervisord.conf"
        yield compiled.plan, supervisord_reader.read(path), folders


def programs_of(options):
    return {
        process.name: process
        for group in options.process_group_configs
        for process in group.process_configs
    }


def test_supervisord_runs_what_the_plan_says(stack):
    """Argv word for word, behind `env -i` with the marks and the model's own variables; models of
    another router are that router's."""
    plan, options, folders = stack
    if plan.router.kind != "llmdecl":
        assert set(programs_of(options)) == {"router"}
        return
    roots = {root: folders[f"LLMDECL_{root.name}"] for root in Root}
    programs = programs_of(options)
    assert set(programs) == {"router", *(f"model-{model.name}" for model in plan.models)}
    for model in plan.models:
        process = programs[f"model-{model.name}"]
        words = supervisord_reader.shlex.split(process.command)
        expected = [(roots[word.root] if word.root else "") + word.text for word in model.argv()]
        start = len(words) - len(expected)
        assert words[start:] == expected
        assert words[:2] == ["/usr/bin/env", "-i"]
        assert "LLMDECL_STACK=0123abcd" in words[2:start]
        assert f"LLMDECL_DIGEST={model.digest}" in words[2:start]
        assert all(f"{key}={value}" in words[2:start] for key, value in model.environment)
        assert (process.autostart, process.autorestart, process.startsecs) == (False, False, 0)
        assert process.stdout_logfile == f"{roots[Root.STATE]}/logs/model-{model.name}.log"


def test_router_and_manager(stack):
    """The router starts with supervisord, whose own socket is private and in the run folder."""
    plan, options, folders = stack
    router = programs_of(options)["router"]
    words = supervisord_reader.shlex.split(router.command)
    wanted = f"{folders['LLMDECL_STATE']}/wanted"
    if plan.router.kind == "llmdecl":
        assert words[:3] == ["/usr/bin/my python", "-m", "llmdecl.router"]
        assert words[words.index("--config") + 1] == f"{wanted}/router.json"
    else:
        assert words[2] == plan.router.path
        assert words[words.index("-config") + 1] == f"{wanted}/llama-swap.yaml"
    assert router.autostart
    server = options.server_configs[0]
    assert (server["file"], server["chmod"]) == (f"{folders['LLMDECL_RUN']}/supervisord.sock", 448)
