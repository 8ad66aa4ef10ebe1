"""What the router answers itself: the list of models, and a status page for people."""

from collections.abc import Mapping
from html import escape

import msgspec

from llmdecl.router.http.request import Reject
from llmdecl.router.metrics import Metrics
from llmdecl.router.routes import MODEL_PREFIX
from llmdecl.router.site import Served, Site, unknown_model


def models(place: Site, path: bytes, states: Mapping[str, str], created: int) -> bytes:
    """`/v1/models`, or one of them; OpenAI's shape plus `aliases`, `state` and `meta`."""
    if not path.startswith(MODEL_PREFIX):
        data = [_model(served, states, created) for served in place.models]
        return msgspec.json.encode({"object": "list", "data": data})
    name = _unquoted(path[len(MODEL_PREFIX) :])
    served = place.named(name)
    if served is None:
        raise unknown_model(name)
    return msgspec.json.encode(_model(served, states, created))


def _unquoted(path: bytes) -> str:
    from urllib.parse import unquote_to_bytes  # rarely asked for

    try:
        return unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise Reject(404, "a model's name is UTF-8") from None


def _model(served: Served, states: Mapping[str, str], created: int) -> dict[str, object]:
    model = served.config
    return {
        "id": model.name,
        "object": "model",
        "created": created,
        "owned_by": "llmdecl",
        "aliases": list(model.aliases),
        "state": states.get(model.name, "stopped"),
        "meta": {"n_ctx": model.n_ctx, "task": model.task},
    }


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>llmdecl: {name}</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="10">
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #8884 }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums }}
:root {{ color-scheme: light dark }}
</style>
<h1>{name}</h1>
<table><tr><th>model<th>aliases<th>task<th class="n">context<th>state
<th class="n">in flight<th class="n">queued<th class="n">answered</tr>
{rows}
</table>
<p><a href="/v1/models">/v1/models</a> · <a href="/health">/health</a> ·
<a href="/metrics">/metrics</a>
"""


def status(place: Site, states: Mapping[str, str], metrics: Metrics) -> bytes:
    """The page at `/`: no scripts, nothing from elsewhere."""
    rows = "\n".join(_row(served, states, metrics) for served in place.models)
    return _PAGE.format(name=escape(place.endpoint.name), rows=rows).encode()


def _row(served: Served, states: Mapping[str, str], metrics: Metrics) -> str:
    model, counts = served.config, metrics.of(served.config.name)
    words = (model.name, ", ".join(model.aliases), model.task)
    numbers = (counts.in_flight, counts.queued, counts.codes.total())
    return (
        "<tr>"
        + "".join(f"<td>{escape(word)}" for word in words)
        + f'<td class="n">{model.n_ctx}<td>{escape(states.get(model.name, "stopped"))}'
        + "".join(f'<td class="n">{number}' for number in numbers)
        + "</tr>"
    )
