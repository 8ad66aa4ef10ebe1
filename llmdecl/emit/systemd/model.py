"""The service of a model."""

import math
from collections.abc import Iterator

from llmdecl.emit.dialects.systemd import exec_line, quote_setting, section
from llmdecl.emit.systemd import direct, names, sandbox
from llmdecl.emit.systemd.mode import OUR_PROGRAM, Mode
from llmdecl.emit.systemd.sandbox import Directive
from llmdecl.plan.model import ModelPlan, Plan, Root, Setting, Word

MEBIBYTE = 1 << 20
STOP_S = 5
"""A second TERM, or KILL: the router has drained the model before it is stopped."""

READY_EXTRA_S = 15
"""Beyond the model's own limit, so that the router's verdict comes first."""

MEMORY_SHARE = 1.1
MEMORY_EXTRA_BYTES = 512 * MEBIBYTE
"""Above what the plan counts as the host's: the limit ends what runs away, not what is planned."""

NVIDIA_NODE = "/dev/nvidia-uvm"
"""Made by the driver when it is first used or by a helper at boot; CUDA looks for it once."""

CACHES = ("CUDA_CACHE_PATH", "MESA_SHADER_CACHE_DIR", "XDG_CACHE_HOME")
"""Where drivers keep the kernels and shaders that they compile: else every start does it anew."""

PRIORITY_FLAGS = frozenset({"--prio", "--prio-batch"})
AFFINITY_FLAGS = frozenset(
    {
        "--cpu-mask",
        "--cpu-range",
        "--cpu-mask-batch",
        "--cpu-range-batch",
        "-C",
        "-Cr",
        "-Cb",
        "-Crb",
    }
)
RESOURCE_FLAGS = PRIORITY_FLAGS | AFFINITY_FLAGS | {"--numa"}
"""What binds threads and memory, or ranks them: calls that are otherwise refused."""


def service(model: ModelPlan, plan: Plan, mode: Mode) -> str:
    """The whole unit."""
    return "\n".join(
        (
            section("Unit", _unit(model, plan)),
            section("Service", _service(model, plan, mode)),
        )
    )


def _unit(model: ModelPlan, plan: Plan) -> Iterator[Directive]:
    yield "Description", f"llmdecl: model {model.name}"
    yield "PartOf", names.TARGET
    if "cuda" in backends(model, plan):
        yield "After", "systemd-modules-load.service nvidia-persistenced.service"
    yield "X-Restart-Triggers", model.digest
    if plan.router.kind == "none":
        yield "StopWhenUnneeded", "yes"
        if model.load == "startup":
            yield "After", names.TARGET  # which else would be waiting for it
        yield "StartLimitIntervalSec", "5min"
        yield "StartLimitBurst", "5"


def _service(model: ModelPlan, plan: Plan, mode: Mode) -> Iterator[Directive]:
    own = backends(model, plan)
    socket = f"{mode.roots[Root.RUN]}/{model.socket}"
    limit = math.ceil(model.start_timeout_s)
    yield "Type", "exec"
    yield "Slice", names.SLICE
    if not mode.user:
        yield "User", names.ACCOUNT
        yield "Group", names.ACCOUNT
    if "cuda" in own:
        yield "ExecStartPre", f"{OUR_PROGRAM} ready --path {NVIDIA_NODE} --timeout 30"
    yield sandbox.mark(model.digest)
    yield "ExecStart", _command(model, mode)
    yield "ExecStartPost", f"{OUR_PROGRAM} ready --socket {socket} --timeout {limit}"
    yield "TimeoutStartSec", str(limit + READY_EXTRA_S)
    yield "TimeoutStopSec", str(STOP_S)
    if plan.router.kind == "none":
        yield "Restart", "on-failure"
        yield "RestartSec", str(direct.RESTART_S)
    if plan.router.kind == "llmdecl":
        # switch-to-configuration leaves it; the router drains and restarts it by its digest
        yield "X-RestartIfChanged", "false"
    if not mode.user:
        for key, value in environment(model):
            yield "Environment", quote_setting(f"{key}={value}")
        for key in CACHES:
            yield "Environment", f"{key}={_cache(model)}"
    yield "RuntimeDirectory", names.runtime_folder(model.name)
    yield "RuntimeDirectoryMode", "0750"
    yield "CacheDirectory", f"{names.OWN}/{model.name}"
    yield "CacheDirectoryMode", "0700"
    yield "UMask", "0007"
    yield "MemoryMax", str(memory_max(model))
    yield "OOMPolicy", "stop"
    flags = {setting.flag for setting in model.settings}
    yield from _limits(model, flags)
    yield from sandbox.closed(mode)
    yield from sandbox.alone(mode, model.name)
    yield from sandbox.users(mode, private=not own)
    yield from sandbox.network(reaches="rpc" in own)
    yield from sandbox.devices(own)
    yield from sandbox.calls(resources=bool(own or flags & RESOURCE_FLAGS))
    if not own:
        yield "MemoryDenyWriteExecute", "yes"
        yield "ProcSubset", "pid"


def backends(model: ModelPlan, plan: Plan) -> frozenset[str]:
    """Of the devices that it is placed on."""
    of = {device.id: device.backend for device in plan.devices}
    return frozenset(of[device] for device in model.placement.devices)


def environment(model: ModelPlan) -> tuple[tuple[str, str], ...]:
    """Its marks and its own variables."""
    marks = (("LLMDECL_MODEL", model.name), ("LLMDECL_DIGEST", model.digest))
    return (*marks, ("LANG", "C.UTF-8"), *model.environment)


def memory_max(model: ModelPlan) -> int:
    """Bytes of `MemoryMax=`: mapped weights are charged to whoever reads them first."""
    planned = sum(part.bytes for part in model.memory if part.pool == "host")
    return int(planned * MEMORY_SHARE) + MEMORY_EXTRA_BYTES


def _limits(model: ModelPlan, flags: set[str]) -> Iterator[Directive]:
    """What a service may not do by default and some flags ask for."""
    if any(map(_locks_memory, model.settings)):
        yield "LimitMEMLOCK", "infinity"
    if flags & PRIORITY_FLAGS:
        yield "LimitNICE", "-20"


def _locks_memory(setting: Setting) -> bool:
    """`--mlock`, or what newer engines have in its place (`--load-mode mmap+mlock`)."""
    modes = {mode for word in setting.values for mode in word.text.split("+")}
    return setting.flag == "--mlock" or (setting.flag == "--load-mode" and "mlock" in modes)


def _cache(model: ModelPlan) -> str:
    return f"%C/{names.OWN}/{model.name}"


def _command(model: ModelPlan, mode: Mode) -> str:
    """A user's manager hands on the session's variables, `LLAMA_*` too: `env -i` does not."""
    if not mode.user:
        return exec_line(model.argv(), mode.roots)
    variables = [Word(text=f"{key}={value}") for key, value in environment(model)]
    start = exec_line((Word(text="/usr/bin/env"), Word(text="-i")), mode.roots)
    caches = " ".join(f"{key}={_cache(model)}" for key in CACHES)
    path = Word(text="PATH=/usr/bin:/bin")
    return f"{start} {caches} {exec_line((path, *variables, *model.argv()), mode.roots)}"
