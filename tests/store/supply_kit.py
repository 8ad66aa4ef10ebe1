"""A package index of tiny wheels on loopback, and stand-ins for other rooms' tools."""

import base64
import hashlib
import io
import json
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llmdecl.facts.model import EngineFacts, Flag, GgufFacts
from llmdecl.paths import Folders
from llmdecl.spec.schema import Spec
from llmdecl.store.store import read_digest
from llmdecl.store.tools import Tools

ELF = b"\x7fELF-pretended llama-server\n"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wheel(name, version, members, *, modes=None, links=()):
    """A wheel's bytes; `members` may repeat a path and hold any."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    members = [*(members.items() if isinstance(members, dict) else members)]
    members.append(
        (f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    )
    members.append(
        (f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    )
    record = ""
    for path, data in members:
        raw = data.encode() if isinstance(data, str) else data
        digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(raw)}\n"
    members.append((f"{info}/RECORD", record + f"{info}/RECORD,,\n"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in members:
            entry = zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0))
            kind = 0o120000 if path in links else 0o100000
            entry.external_attr = (kind | (modes or {}).get(path, 0o644)) << 16
            archive.writestr(entry, data)
    return out.getvalue()


class Index:
    """PEP 503 over HTTP; `served` by file name replaces what a file's body is."""

    def __init__(self):
        self.projects, self.served, self.downloads = {}, {}, []
        self.broken = False
        self.pace_s = 0.0
        """Seconds between two kilobytes of a file."""
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                index.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple"

    def add(self, name, version, members, *, tag="py3-none-any", served=None, **options):
        """Offer a wheel; returns its SHA-256."""
        data = wheel(name, version, members, **options)
        file = f"{name.replace('-', '_')}-{version}-{tag}.whl"
        self.projects.setdefault(name, {})[file] = data
        if served is not None:
            self.served[file] = served(data)
        return sha256(data)

    def answer(self, request):
        if self.broken:
            return self.send(request, 503, b"", "text/plain")
        parts = request.path.strip("/").split("/")
        if parts[0] == "simple" and parts[-1] in self.projects:
            links = "".join(
                f'<a href="/files/{parts[-1]}/{file}#sha256={sha256(data)}">{file}</a>\n'
                for file, data in self.projects[parts[-1]].items()
            )
            page = f"<!DOCTYPE html><html><body>{links}</body></html>"
            return self.send(request, 200, page.encode(), "text/html")
        if parts[0] == "files":
            self.downloads.append(parts[2])
            data = self.projects[parts[1]][parts[2]]
            body = self.served.get(parts[2], data)
            return self.send(request, 200, body, "application/zip", length=len(data))
        return self.send(request, 404, b"", "text/plain")

    def send(self, request, status, body, kind, length=None):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.send_header("Connection", "close")
        request.end_headers()
        try:
            for start in range(0, len(body), 1024):
                request.wfile.write(body[start : start + 1024])
                if self.pace_s and kind == "application/zip":
                    time.sleep(self.pace_s)
        except OSError:
            pass  # the client left
        request.close_connection = True

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def environment(index):
    """What makes pip ask this index and nothing else."""
    return {
        "PIP_INDEX_URL": index.url,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_RETRIES": "0",
        "PIP_RESUME_RETRIES": "0",
    }


def gguf(path, address):
    """Facts of any file, which tell only its size."""
    return (
        GgufFacts(
            architecture="llama",
            type="model",
            name=None,
            file_type="Q4_1",
            file_type_declared="Q4_1",
            n_params=1,
            tensor_bytes=1,
            file_bytes=path.stat().st_size,
            tensors=(),
            vocabulary=None,
            chat_template_sha256=None,
            parameters={},
        ),
        (),
    )


def probe(path, address):
    """Facts of any file: its version is its text."""
    return (
        EngineFacts(
            kind="llama.cpp",
            provider="",
            executable=str(path),
            binary_sha256=read_digest(path),
            version=path.read_bytes().decode("latin-1").strip()[-12:],
            build=1,
            commit="7e4c0a9",
            flags=(Flag(names=("--model",), arity=1),),
            devices=(),
        ),
        (),
    )


TOOLS = Tools(digest=read_digest, read_gguf=gguf, probe=probe)


def folders(root):
    return Folders(root / "state", root / "store", root / "cache", root / "run", "00000000")


def spec(models=None, engines=None):
    """A spec of sources by model name, and of engines."""
    models = models or {}
    return Spec.model_validate_json(
        json.dumps(
            {
                "version": 1,
                "engines": engines or {},
                "models": {
                    name: {"source": value} if isinstance(value, str) else value
                    for name, value in models.items()
                },
                "endpoints": {},
            }
        )
    )


def engine(package="engine", version="1.0"):
    return {"kind": "llama.cpp", "provider": "pypi", "package": package, "version": version}
