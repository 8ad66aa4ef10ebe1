"""What runs, for people and for programs."""

from pathlib import Path

import click

from llmdecl.activate.survey import ModelSurvey, Survey
from llmdecl.cli.views import table
from llmdecl.cli.views.changes import COLOURS
from llmdecl.units import format_bytes, format_duration
from llmdecl.values import to_json


def show_json(survey: Survey) -> None:
    """`status --json`."""
    click.echo(to_json(survey).decode(), nl=False)


def show(survey: Survey, *, of_system: Path | None = None) -> None:
    """Models in a table, then pools, endpoints and drift; where there is nothing, that the system's
    manager has a stack in another folder."""
    if survey.generation is None:
        click.echo("nothing was applied yet; `llmdecl apply` does it")
        if of_system is not None:
            click.echo(f"the system's stack is root's: `llmdecl status --state-dir {of_system}`")
    else:
        click.echo(_headline(survey))
        click.echo()
        _show_models(survey)
        for pool in survey.pools:
            used = "?" if pool.claimed_bytes is None else format_bytes(pool.claimed_bytes)
            click.echo(f"{pool.name}: {used} of {format_bytes(pool.budget_bytes)} in use")
        for endpoint in survey.endpoints:
            click.echo(
                f"{endpoint.name}: {endpoint.listen}  {', '.join(endpoint.apis)}"
                f"  serves {', '.join(endpoint.models)}"
            )
    for change in survey.drift:
        mark = click.style(f"{change.symbol.value} {change.address}", fg=COLOURS[change.symbol])
        click.echo(f"{mark}  {change.reason}")
    if survey.drift:
        click.echo("`llmdecl apply` mends this")


def _headline(survey: Survey) -> str:
    if survey.supervisord_pid is None:
        how = "down"
    elif survey.router_pid is None:
        how = "up, but its router does not answer"
    else:
        how = "draining" if survey.draining else "up"
    return f"generation {survey.generation} is {how}"


def _show_models(survey: Survey) -> None:
    rows = [
        [
            model.name,
            model.state,
            str(model.pid or ""),
            model.placement.where if model.placement else "",
            format_bytes(model.memory_bytes),
            _measured(model),
            "" if model.host_bytes is None else format_bytes(model.host_bytes),
            f"{model.in_flight}" + (f" +{model.queued}" if model.queued else ""),
            _unloads(model),
            model.error or "",
        ]
        for model in survey.models
    ]
    head = ["model", "state", "PID", "where", "planned", "measured", "RAM now", "in flight"]
    table.show([*head, "unloads in", ""], rows, right=(2, 4, 5, 6, 7))
    for model in survey.models:
        _show_differences(model)


def _measured(model: ModelSurvey) -> str:
    return format_bytes(sum(model.placement.memory.values())) if model.placement else ""


def _show_differences(model: ModelSurvey) -> None:
    if model.placement is None:
        return
    for difference in model.placement.differences:
        click.secho(f"{model.name} is not as planned: {difference}", fg="red")
    for cause in model.placement.causes if model.placement.differences else ():
        click.echo(f"  likely cause: {cause}")


def _unloads(model: ModelSurvey) -> str:
    if model.pid is None:
        return ""
    if model.ttl_s is None:
        return "never"
    return "in use" if model.ttl_left_s is None else format_duration(round(model.ttl_left_s))


def show_line(line: str) -> None:
    """A line of a log."""
    click.echo(line)
