"""A rule's page, and a model's flags with their reasons."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from llmdecl.cli.views.table import show
from llmdecl.diagnostics import Rule
from llmdecl.memory.estimate import total_bytes
from llmdecl.plan.model import ModelPlan, Setting
from llmdecl.units import format_bytes, format_duration
from llmdecl.values import Value, to_json


class RulePage(Value, frozen=True, kw_only=True):
    """`explain CODE --json`, schema 1."""

    schema: int = 1
    code: str
    name: str
    severity: str
    text: str


class ModelPage(Value, frozen=True, kw_only=True):
    """`explain MODEL --json`, schema 1."""

    schema: int = 1
    model: ModelPlan


def show_rule(rule: Rule, *, as_json: bool) -> None:
    """Code, name and text."""
    if as_json:
        page = RulePage(code=rule.code, name=rule.name, severity=rule.severity, text=rule.text)
        click.echo(to_json(page), nl=False)
        return
    click.secho(f"{rule.severity}[{rule.code}] {rule.name}", bold=True)
    click.echo()
    click.echo(rule.text)


def show_model(model: ModelPlan, *, as_json: bool) -> None:
    """How it lives, each flag with its reason, and what memory it takes."""
    if as_json:
        click.echo(to_json(ModelPage(model=model)), nl=False)
        return
    click.secho(model.name, bold=True)
    for line in _life(model):
        click.echo(f"  {line}")
    click.echo()
    rows = [[_flag(s), s.address, s.reason] for s in model.settings]
    show(["flag", "spec", "reason"], rows)
    if model.environment:
        click.echo()
        show(["variable", "value"], [list(pair) for pair in model.environment])
    click.echo()
    show(["memory of", "part", "bytes", ""], list(_memory(model)), right=(2,))


def _memory(model: ModelPlan) -> Iterator[list[str]]:
    """The host's parts, then each device's, largest first, each with its sum."""
    for pool in ("host", *model.placement.devices):
        parts = [part for part in model.memory if part.pool == pool]
        for part in sorted(parts, key=lambda part: (-part.bytes, part.part)):
            sure = "exact" if part.exact else "at most"
            yield [pool, part.part, format_bytes(part.bytes), sure]
        yield [pool, "in all", format_bytes(total_bytes(parts, pool)), ""]


def _place(model: ModelPlan) -> str:
    """Where it goes, in one line."""
    place = model.placement
    if not place.devices:
        return "on the CPU"
    named = (
        f"{device} ({name})"
        for device, name in zip(place.devices, place.engine_devices, strict=True)
    )
    text = f"{place.n_gpu_layers} of {place.n_layers} layers on {', '.join(named)}"
    if place.n_cpu_moe:
        text += f", experts of {place.n_cpu_moe} blocks on the CPU"
    return text


def _life(model: ModelPlan) -> list[str]:
    ttl = "never unloaded" if model.ttl_s is None else f"unloaded after {_time(model.ttl_s)} idle"
    return [
        f"task {model.task} ({model.reasons['task']})",
        f"engine {model.engine} ({model.reasons['engine']})",
        _place(model) + (", alone there" if model.alone else ""),
        f"loaded on {model.load} ({model.reasons['load']})",
        f"{ttl} ({model.reasons['ttl']})",
        f"started within {_time(model.start_timeout_s)} ({model.reasons['start-timeout']})",
    ]


def _time(seconds: float) -> str:
    return format_duration(seconds)


def _flag(setting: Setting) -> str:
    """A flag with its values on one line; long values are cut in the table, not in `--json`."""
    words = [(word.root or "") + word.text for word in setting.values]
    text = " ".join([setting.flag, *words]).replace("\n", "\\n")
    return text if len(text) <= 60 else f"{text[:57]}..."


def show_written(folder: Path, paths: Sequence[str]) -> None:
    """What `compile` wrote."""
    for path in paths:
        click.echo(folder / path)
