"""Ollama's registry on a `Site`: manifests and blobs of the distribution API."""

import hashlib
import json
from urllib.parse import urlsplit

from tests.web.site_kit import File

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class OllamaRegistry:
    """Routes for a site: `add` a model, blobs answer 307 to the other host (`redirects`)."""

    def __init__(self, site, *, redirects=True):
        self.site, self.redirects = site, redirects
        self.manifests, self.blobs = {}, {}
        site.routes.append(self.route)
        self.url = site.url

    def add(self, name, layers, *, tag="latest", config=None):
        """`name` is `library/x`; `layers` are pairs of media type (or its last word) and bytes.

        Returns the manifest's bytes.
        """
        config = json.dumps(config or {"model_format": "gguf", "model_family": "llama"}).encode()
        entries = []
        for kind, data in layers:
            media = kind if "/" in kind else f"application/vnd.ollama.image.{kind}"
            self.blobs[digest(data)] = data
            entries.append({"mediaType": media, "digest": digest(data), "size": len(data)})
        self.blobs[digest(config)] = config
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": digest(config),
                "size": len(config),
            },
            "layers": entries,
        }
        body = json.dumps(manifest, separators=(",", ":")).encode()
        self.manifests[name, tag] = body
        return body

    def route(self, request):
        path = urlsplit(request.path).path
        if path.startswith("/ollama-blobs/"):
            body = self.blobs.get(path.rpartition("/")[2])
            return None if body is None else File(body, f'"{hashlib.md5(body).hexdigest()}"')
        if not path.startswith("/v2/") or request.host != "front":
            return None
        if "/manifests/" in path:
            name, _, tag = path.removeprefix("/v2/").partition("/manifests/")
            body = self.manifests.get((name, tag))
            if body is None:
                return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            more = {"Content-Type": MANIFEST, "Docker-Content-Digest": digest(body)}
            return 200, more, body
        _name, _, blob = path.removeprefix("/v2/").partition("/blobs/")
        if blob not in self.blobs:
            return _error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self.redirects:
            return 307, {"Location": f"{self.site.cdn_url}/ollama-blobs/{blob}?sig=SIGNED"}, b""
        return File(self.blobs[blob], f'"{blob}"')


def _error(status, code, message):
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json"}, body
