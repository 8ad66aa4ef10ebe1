"""`--device ID:BACKEND:SIZE`, as `estimate` and `fit` take it."""

import click

DEVICE_FORM = "ID:BACKEND:SIZE"


def parse_device(text: str) -> tuple[str, str, int]:
    """Id, backend and bytes; a usage error for anything else."""
    from llmdecl.backends.table import BACKENDS
    from llmdecl.units import parse_bytes

    parts = text.split(":")
    if len(parts) != 3 or not parts[0]:
        raise click.UsageError(f"`--device {text}` is not of the form {DEVICE_FORM}")
    name, backend, size = parts
    if backend not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise click.UsageError(f"`--device {text}`: `{backend}` is no backend; there are {known}")
    if name == "host":
        raise click.UsageError(f"`--device {text}`: `host` is the machine's own memory")
    try:
        return name, backend, parse_bytes(size)
    except ValueError as error:
        raise click.UsageError(f"`--device {text}`: {error}") from None
