"""One endpoint of `router.json`, made ready for requests: names, routes, keys."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from llmdecl.router.auth import Keys, origin_allowed, read_keys
from llmdecl.router.config import EndpointConfig, ModelConfig, RouterConfig
from llmdecl.router.http.request import Reject, Request
from llmdecl.router.rewrite import Rewrite, asked_model
from llmdecl.router.routes import MODEL_PREFIX, ROUTES, Route, table


@dataclass(frozen=True, slots=True)
class Served:
    """A model behind this endpoint, and what its requests get added."""

    config: ModelConfig
    rewrite: Rewrite | None


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """What an endpoint is between two configurations; requests keep the one they began with."""

    endpoint: EndpointConfig
    models: tuple[Served, ...]
    names: Mapping[str, Served]
    routes: Mapping[bytes, Route]
    keys: Keys | None
    trust_host: bool

    def admit(self, request: Request) -> None:
        """Find the route of a head that has come; raises `Reject`. The body need not be there."""
        route = self.routes.get(request.path) or self._model_route(request.path)
        request.route = route
        if route and route.method == request.method and not request.origin and self.keys is None:
            return
        if request.origin:
            self._check_origin(request)
        if request.method == b"OPTIONS":
            return
        if (
            self.keys is not None
            and not (route and route.open)
            and not self.keys.admit(request.authorization, request.keys)
        ):
            refusal = Reject(401, "a valid API key is needed", code="invalid_api_key")
            refusal.headers = (("WWW-Authenticate", "Bearer"),)
            raise refusal
        if route is None:
            raise self._no_route(request.path)
        if request.method != route.method and not (
            request.method == b"HEAD" and route.method == b"GET"
        ):
            refusal = Reject(405, f"`{_text(request.path)}` takes {route.method.decode()}")
            refusal.headers = (("Allow", allowed(route)),)
            raise refusal

    def find(self, request: Request) -> tuple[Served, bool]:
        """The model a whole request asks for, and whether it wants a stream; raises `Reject`."""
        stream = False
        if request.method == b"POST":
            name, stream = asked_model(request.body)
        else:
            given = parse_qs(request.query.decode("latin-1")).get("model")
            name = given[0] if given else None
        if name is None:
            if len(self.models) == 1:
                return self.models[0], stream
            raise Reject(400, "`model` is missing, and this endpoint has several")
        served = self.names.get(name) or self.named(name)
        if served is None:
            raise unknown_model(name)
        return served, stream

    def named(self, name: str) -> Served | None:
        """By name, alias, or either with `:latest` behind it."""
        return self.names.get(name) or self.names.get(name.removesuffix(":latest"))

    def _model_route(self, path: bytes) -> Route | None:
        if path.startswith(MODEL_PREFIX) and len(path) > len(MODEL_PREFIX):
            return self.routes.get(b"/v1/models")
        return None

    def _no_route(self, path: bytes) -> Reject:
        text = _text(path)
        if path in ROUTES:
            apis = ", ".join(sorted({r.api for r in ROUTES[path] if r.api}))
            return Reject(404, f"`{text}` belongs to the API {apis}, which this endpoint lacks")
        return Reject(404, f"there is no `{text}`")

    def _check_origin(self, request: Request) -> None:
        origin, host = request.origin.decode("latin-1"), request.host.decode("latin-1")
        if origin_allowed(origin, host, trust_host=self.trust_host):
            request.cors = b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n" % request.origin
        elif request.method == b"POST":
            raise Reject(403, "pages from this origin may not use this endpoint", close=True)


def unknown_model(name: str) -> Reject:
    """The 404 of OpenAI."""
    shown = name if len(name) <= 200 else name[:200] + "..."
    return Reject(404, f"the model `{shown}` does not exist here", code="model_not_found")


def allowed(route: Route) -> str:
    """What `Allow` lists."""
    return "GET, HEAD, OPTIONS" if route.method == b"GET" else "POST, OPTIONS"


def _text(path: bytes) -> str:
    return path[:200].decode("latin-1")


def site(config: RouterConfig, endpoint: EndpointConfig) -> Site:
    """Reads the endpoint's key file; raises OSError that names it."""
    models = tuple(
        Served(m, Rewrite.of(m)) for m in config.models if m.name in frozenset(endpoint.models)
    )
    names = {alias: m for m in models for alias in m.config.aliases}
    names |= {m.config.name: m for m in models}
    keys = read_keys(endpoint.api_keys_file)
    open_loopback = keys is None and _is_loopback(endpoint.host)
    return Site(endpoint, models, names, table(endpoint.apis), keys, not open_loopback)


def _is_loopback(host: str | None) -> bool:
    if host is None or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
