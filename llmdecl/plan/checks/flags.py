"""Every flag that is emitted, against the engine's own table."""

from collections.abc import Iterator, Mapping

from llmdecl.backends.table import BACKENDS
from llmdecl.diagnostics import Diagnostic
from llmdecl.engines.flags import Fault, FlagTable, Use
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject

CLOSED: Mapping[str, str] = {
    "--api-key": "keys are the endpoints' business, and no secret stands on a command line",
    "--api-key-file": "keys are the endpoints' business",
    "--hf-token": "no secret stands on a command line",
    "--ssl-key-file": "a model answers on a private socket",
    "--ssl-cert-file": "a model answers on a private socket",
    "--port": "a model answers on a private socket",
    "--reuse-port": "a model answers on a private socket",
    "--path": "the router is the door",
    "--api-prefix": "the router is the door",
    "--model-url": "weights come from `source`",
    "--docker-repo": "weights come from `source`",
    "--hf-repo": "weights come from `source`",
    "--hf-file": "weights come from `source`",
    "--spec-draft-hf": "weights come from `source`",
    "--mmproj-url": "weights come from `source`",
    "--models-dir": "llmdecl's router routes",
    "--models-preset": "llmdecl's router routes",
    "--rpc": "a device of another machine is one of `[[host.devices]]`",
    "--tools": "no tools inside an engine",
    "--mcp-servers-config": "no tools inside an engine",
    "--mcp-servers-json": "no tools inside an engine",
    "--mmap": "that is `load-mode`",
    "--mlock": "that is `load-mode`",
    "--direct-io": "that is `load-mode`",
    "--log-file": "the log is the manager's",
    "--log-disable": "the log is the manager's",
    "--help": "the engine would end at once",
    "--version": "the engine would end at once",
    "--list-devices": "the engine would end at once",
    "--cache-list": "the engine would end at once",
    "--completion-bash": "the engine would end at once",
    "--embedding": "that is `task`",
    "--mmproj-device": "a projector is where its model is",
    "--n-cpu-ffn": "the plan counts whole layers; that is `override-tensor`",
    "--spec-draft-override-tensor": "a draft is where its model is",
    "--spec-draft-cpu-moe": "a draft is where its model is",
    "--spec-draft-n-cpu-moe": "a draft is where its model is",
    "--reranking": "that is `task`",
    "--lora": "adapters come from `lora`",
    "--draft": "that is `draft.n-max`",
}
"""Flags that no extra argument may be, by one of their names, and why."""


def check_settings(subject: Subject) -> Iterator[Diagnostic]:
    """The compiler's own flags: what the engine lacks, and what it would refuse."""
    table = subject.engine.table
    if table is None:
        return
    version = subject.engine.plan.version
    for lacking in subject.lacking:
        near = (f"nearest: {', '.join(lacking.near)}",) if lacking.near else ()
        words = lacking.words or f"has no `{lacking.spelling}`"
        summary = f"engine `{subject.engine.name}` ({version}) {words}"
        yield rules.SETTING_UNSUPPORTED.at(lacking.address, summary, notes=near)
    for setting in subject.settings:
        misuse = table.check(setting.flag, [word.text for word in setting.values])
        if misuse is not None:
            yield rules.BAD_FLAG_VALUE.at(setting.address, misuse.reason)


def check_extra(subject: Subject) -> Iterator[Diagnostic]:
    """`extra-args`: flags of this engine, none of them ours."""
    for misuse in subject.misuses:
        unknown = misuse.fault in (Fault.UNKNOWN, Fault.REMOVED, Fault.STRAY)
        rule = rules.UNKNOWN_FLAG if unknown else rules.BAD_FLAG_VALUE
        notes = (f"nearest: {', '.join(misuse.near)}",) if misuse.near else ()
        yield rule.at(subject.extra_address, misuse.reason, notes=notes)
    table = subject.engine.table
    if table is None:
        return
    owned = _owned(subject, table)
    seen: dict[str, str] = {}
    for use in subject.extra:
        key = use.flag.names[0]
        reason = owned.get(key)
        if reason is not None:
            summary = f"`{use.spelling}` is not for `extra-args`: {reason}"
            yield rules.FLAG_OWNED.at(subject.extra_address, summary)
        elif key in seen and seen[key] != use.spelling and _is_switch(use):
            summary = f"`{use.spelling}` contradicts `{seen[key]}`"
            yield rules.FLAG_OWNED.at(subject.extra_address, summary)
        seen.setdefault(key, use.spelling)


def _is_switch(use: Use) -> bool:
    return bool(use.flag.negatives)


def _owned(subject: Subject, table: FlagTable) -> dict[str, str]:
    """First names of entries that the compiler writes or keeps closed, with the reason."""
    owned: dict[str, str] = {}
    for name, reason in CLOSED.items():
        flag = table.find(name)
        if flag is not None:
            owned[flag.names[0]] = reason
    for name in SPEC_KEYS:
        flag = table.find(f"--{name}")
        if flag is not None:
            owned[flag.names[0]] = f"the spec has `{name}` for it"
    for setting in subject.settings:
        flag = table.find(setting.flag)
        if flag is not None:
            owned.setdefault(flag.names[0], f"the plan passes `{setting.flag}` itself")
    return owned


SPEC_KEYS = (
    "swa-full", "chat-template", "rope-scaling", "rope-scale", "rope-freq-base",
    "rope-freq-scale", "yarn-orig-ctx", "pooling", "n-gpu-layers", "ctx-size",
    "split-mode", "tensor-split", "main-gpu", "cpu-moe", "n-cpu-moe",
    "override-tensor", "kv-offload", "op-offload", "no-host", "mmproj",
    "parallel", "kv-unified", "cache-type-k", "cache-type-v", "flash-attn", "cache-ram",
    "ctx-checkpoints", "cache-prompt", "cache-reuse", "cache-idle-slots", "context-shift",
    "batch-size", "ubatch-size", "cont-batching", "threads", "threads-batch", "threads-http",
    "load-mode", "repack", "warmup", "jinja", "reasoning-format", "reasoning-budget",
)  # fmt: skip
"""Keys of the spec that are flags of llama-server."""


OF_DEVICES = frozenset(
    {"HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "CUDA_DEVICE_ORDER", "MTMD_BACKEND_DEVICE"}
)
"""Further variables by which devices are hidden, numbered or chosen."""


def check_environment(subject: Subject) -> Iterator[Diagnostic]:
    """Variables that would set flags, carry secrets or speak for llmdecl."""
    table = subject.engine.table
    flags = {f.environment: f.names[-1] for f in (table.flags if table else ()) if f.environment}
    visible = {
        backend.visible_devices.variable for backend in BACKENDS.values() if backend.visible_devices
    }
    for name, _ in subject.given_environment:
        at = f"{subject.environment_address}.{name}"
        if name in flags:
            summary = f"`{name}` would set `{flags[name]}`; say it in the spec"
            yield rules.ENVIRONMENT_OWNED.at(at, summary)
        elif name in visible or name in OF_DEVICES:
            yield rules.ENVIRONMENT_OWNED.at(at, f"`{name}` hides devices; say `devices` instead")
        elif name.startswith(("LLAMA_ARG_", "LLMDECL_")) or name == "LLAMA_API_KEY":
            yield rules.ENVIRONMENT_OWNED.at(at, f"`{name}` is not the spec's to set")
        elif not name or "=" in name or not name.isprintable():
            yield rules.ENVIRONMENT_OWNED.at(at, f"{name!r} is no name of a variable")
