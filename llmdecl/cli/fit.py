"""`llmdecl fit`: which quantizations of a model, with which contexts, a machine can run."""

from pathlib import Path
from typing import get_args

import click

from llmdecl.cli.context import facts_option, folder_options
from llmdecl.cli.devices import DEVICE_FORM, parse_device
from llmdecl.diagnostics import has_errors
from llmdecl.paths import Folders


@click.command(name="fit")
@click.argument(
    "target", required=False, type=click.Path(path_type=str), metavar="[FILE|SOURCE|SPEC]"
)
@click.option("--model", "name", metavar="NAME", help="One model of the spec; default: every one.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar=DEVICE_FORM,
    help="Instead of what is here, such as `gpu0:cuda:24GiB`; once for each device.",
)
@click.option("--ram", metavar="SIZE", help="Memory of the host, instead of what is here.")
@click.option("--parallel", type=click.IntRange(1, 256), metavar="N", help="Slots.")
@click.option("--cache-type", metavar="TYPE", help="Of keys and values, such as `q8_0`.")
@click.option("--json", "as_json", is_flag=True, help="Bytes, as versioned JSON.")
@facts_option
@folder_options
def command(
    target: str | None,
    *,
    name: str | None,
    devices: tuple[str, ...],
    ram: str | None,
    parallel: int | None,
    cache_type: str | None,
    as_json: bool,
    facts_file: Path | None,
    where: Folders,
) -> int:
    """Say what this machine can run: a row a quantization, a column a context.

    FILE is a GGUF file; SPEC a spec or its folder, by default the one here, whose models are shown
    with their own settings beside its permanent residents. SOURCE is `hf:OWNER/REPO[@REVISION]`,
    whose quantizations are shown as their headers are read there, a few megabytes, `https://...`
    or `ollama:NAME[:TAG]`. Quantizations with `~` are not here, or were not read: their sizes are
    worked out as llama-quantize chooses types. Every cell is planned as `llmdecl plan` does it,
    the margins kept free.
    """
    from llmdecl.cli.fitting import fitted
    from llmdecl.cli.views.fit import show_fit, show_fit_json

    report = fitted(
        target,
        where,
        name=name,
        devices=_devices(devices),
        ram=_size(ram),
        settings=_settings(parallel, cache_type),
        facts_file=facts_file,
    )
    if as_json:
        show_fit_json(report)
    else:
        show_fit(report)
    return 1 if has_errors(report.diagnostics) else 0


def _devices(texts: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    devices = tuple(parse_device(text) for text in texts)
    if len({name for name, _, _ in devices}) < len(devices):
        raise click.UsageError("two devices have the same id")
    return devices


def _size(text: str | None) -> int | None:
    from llmdecl.units import parse_bytes

    try:
        return None if text is None else parse_bytes(text)
    except ValueError as error:
        raise click.UsageError(f"`--ram {text}`: {error}") from None


def _settings(parallel: int | None, cache_type: str | None) -> dict[str, object]:
    from llmdecl.spec.schema import CacheType

    settings: dict[str, object] = {} if parallel is None else {"parallel": parallel}
    if cache_type is None:
        return settings
    known = get_args(CacheType)
    if cache_type not in known:
        text = f"`--cache-type {cache_type}`: types are {', '.join(known)}"
        raise click.UsageError(text)
    return settings | {"cache_type_k": cache_type, "cache_type_v": cache_type}
