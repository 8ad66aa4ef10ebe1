"""What units are called. A model's name is made of characters that a unit's may have."""

TARGET = "llmdecl.target"
SLICE = "llmdecl.slice"
ROUTER = "llmdecl-router.service"
FETCH = "llmdecl-fetch.service"
ACCOUNT = "llmdecl"
"""User and group that everything of the system's stack runs as."""

OWN = "llmdecl"
"""The folder below `/run`, `/var/lib`, `/var/cache` and `/etc`."""


def of_model(name: str) -> str:
    """The service of a model."""
    return f"llmdecl-model-{name}.service"


def is_model(unit: str) -> bool:
    """Whether a unit is the service of a model."""
    return unit.startswith("llmdecl-model-") and unit.endswith(".service")


def of_endpoint(name: str) -> str:
    """The socket of an endpoint."""
    return f"llmdecl-endpoint-{name}.socket"


def socket_of_model(name: str) -> str:
    """What starts a model without a router; no model's service is called so."""
    return f"llmdecl-model-{name}.socket"


def proxy_of(name: str) -> str:
    """What stands between that socket and the model's own."""
    return f"llmdecl-proxy-{name}.service"


def model_of_socket(unit: str) -> str | None:
    """The inverse of `socket_of_model`; `None` for another unit."""
    name = unit.removeprefix("llmdecl-model-")
    return name.removesuffix(".socket") if name != unit and name.endswith(".socket") else None


def is_proxy(unit: str) -> bool:
    """Whether a unit stands before a model."""
    return unit.startswith("llmdecl-proxy-") and unit.endswith(".service")


def runtime_folder(name: str) -> str:
    """Below `/run`: a model's own, emptied between runs. Nobody owns the parent, whose owner would
    take every model's socket along when it stops."""
    return f"{OWN}/{name}"
