"""TCP ports of models, where one of our own endpoints is not before them. Pure."""

import hashlib
from collections.abc import Mapping

from llmdecl.spec.listen import parse_listen
from llmdecl.spec.schema import Spec

FIRST_PORT = 16384
PORTS = 16384
"""Up to 32767: Linux takes ports for outgoing connections from 32768 on (ip_local_port_range)."""

ON_PORTS = frozenset({"llama-swap", "none"})
"""Kinds of router whose models are reached on ports."""


def model_ports(spec: Spec, locked: Mapping[str, int]) -> dict[str, int]:
    """A port for each model by name; none where the router dials sockets.

    A locked port stays, whatever else the spec holds. Another model gets one by a digest of its
    name, or the next free one: so without a lock, too, adding a model moves another one only when
    their digests meet.
    """
    if spec.router is None or spec.router.kind not in ON_PORTS:
        return {}
    taken = set(_endpoint_ports(spec))
    ports: dict[str, int] = {}
    for name in sorted(spec.models):
        port = locked.get(name)
        if port is not None and port not in taken:
            ports[name] = port
            taken.add(port)
    for name in sorted(spec.models.keys() - ports.keys()):
        ports[name] = _free(name, taken)
        taken.add(ports[name])
    return ports


def _free(name: str, taken: set[int]) -> int:
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    places = ((start + step) % PORTS + FIRST_PORT for step in range(PORTS))
    return next(port for port in places if port not in taken)


def _endpoint_ports(spec: Spec) -> set[int]:
    found = set()
    for endpoint in spec.endpoints.values():
        try:
            port = parse_listen(endpoint.listen).port
        except ValueError:
            continue  # reported by the spec's own checks
        if port is not None:
            found.add(port)
    return found
