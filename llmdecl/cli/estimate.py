"""`llmdecl estimate`: what a llama-server command line would take, by device."""

from collections.abc import Sequence
from pathlib import Path

import click

from llmdecl.cli.devices import DEVICE_FORM, parse_device
from llmdecl.diagnostics import has_errors


@click.command(
    name="estimate",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": True},
)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- LLAMA-SERVER-FLAGS]")
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar=DEVICE_FORM,
    help="A device in llama-server's order, such as `gpu0:cuda:24GiB`; without one: CPU only.",
)
@click.option("--engine-version", metavar="V", help="Of llama.cpp; the rules are b10434's.")
@click.option(
    "--cpu-features",
    metavar="NAMES",
    help="Of the processor, by the kernel's names (`avx2,avx512f`); default: this machine's.",
)
@click.option("--json", "as_json", is_flag=True, help="Bytes, as versioned JSON.")
@click.option("--verify", is_flag=True, help="Ask the engine's binary as well, and show both.")
@click.option(
    "--engine",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The llama-server that `--verify` asks; default: the first on PATH.",
)
def command(
    file: Path,
    flags: tuple[str, ...],
    devices: tuple[str, ...],
    engine_version: str | None,
    cpu_features: str | None,
    *,
    as_json: bool,
    verify: bool,
    engine: Path | None,
) -> int:
    """Estimate the memory of a model for llama-server's own flags, with its own defaults.

    \b
    llmdecl estimate m.gguf --device gpu0:cuda:24GiB --device gpu1:cuda:24GiB \\
        -- -ngl 99 -c 32768 -np 1 -ts 3,2 -ctk q8_0 -ctv q8_0
    """  # noqa: D301  # click wants the character itself
    from llmdecl.cli.estimating import estimated
    from llmdecl.cli.views.estimate import show_estimate, show_estimate_json

    report = estimated(
        file,
        flags,
        devices=tuple(parse_device(text) for text in devices),
        engine_version=engine_version,
        features=_features(cpu_features),
    )
    measured = None
    if verify and report.sizes is not None:
        from llmdecl.cli.verifying import verified

        measured, problems = verified(report, file, flags, engine)
        report = report.with_diagnostics(problems)
    if as_json:
        show_estimate_json(report, measured)
    else:
        show_estimate(report, measured)
    return 1 if has_errors(report.diagnostics) else 0


def _features(text: str | None) -> Sequence[str] | None:
    return None if text is None else [word for word in text.split(",") if word]
