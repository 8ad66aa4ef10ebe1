"""Hugging Face on a `Site`: model API, tree with pages, resolve with redirects to another host."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.web.site_kit import File


def _oid(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _digest(body):
    if isinstance(body, Path):
        with body.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(body).hexdigest()


@dataclass
class Repository:
    """`files` by path; `lfs` names those that are large files: by default all `.gguf`.

    `gated` is False, `auto` or `manual`; then a token of `granted` opens it. `private` answers as
    if it did not exist, to everybody else. `card` is the model card's metadata.
    """

    name: str
    files: dict
    commit: str = ""
    branches: dict = field(default_factory=dict)
    """Branches and tags to commits, `main` beside them."""
    gated: object = False
    private: bool = False
    granted: tuple = ()
    card: dict = field(default_factory=dict)
    page: int = 1000
    """Entries of a tree in one answer."""
    digests: dict = field(default_factory=dict)

    def __post_init__(self):
        self.digests = {path: _digest(body) for path, body in self.files.items()}
        text = json.dumps(sorted(self.digests.items()))
        self.commit = self.commit or hashlib.sha1(text.encode()).hexdigest()

    def is_lfs(self, path):
        return path.endswith((".gguf", ".bin", ".safetensors"))

    def size(self, path):
        body = self.files[path]
        return body.stat().st_size if isinstance(body, Path) else len(body)


class HuggingFace:
    """Routes for a site. `repositories` by `OWNER/REPO`; older commits stay reachable.

    Large files answer 302 to the other host with a signed URL (its signature counts how often it
    was made; `revoke` makes all older ones answer 403), small ones a relative 307. `renamed` leads
    from old names to new ones, by a relative 307 that forgets the query. A token of `revoked` is
    refused whatever is asked. Every answer says how many requests are left (`RateLimit`).
    """

    def __init__(self, site):
        self.site, self.repositories, self._old = site, {}, {}
        self.renamed, self.revoked = {}, set()
        self._signature, self._valid_from = 0, 0
        site.routes.append(self.route)
        self.url = site.url

    def add(self, name, files, **options):
        """A repository, or a new state of it (the branch `main` moves)."""
        repository = Repository(name, files, **options)
        self.repositories[name] = repository
        self._old[name, repository.commit] = repository
        return repository

    def revoke(self):
        """Signed URLs that were handed out are no good any more."""
        self._valid_from = self._signature + 1

    def route(self, request):
        parts = urlsplit(request.path)
        path, query = parts.path, parse_qs(parts.query)
        words = path.strip("/").split("/")
        if words[:1] == ["signed"]:
            return self._signed(words, query)
        if request.host != "front":
            return None
        answer = self._front(request, path, words, query)
        if isinstance(answer, tuple):
            answer[1].setdefault("RateLimit", '"api";r=498;t=170')
            answer[1].setdefault("RateLimit-Policy", '"fixed window";"api";q=500;w=300')
        return answer

    def _front(self, request, path, words, query):
        if self._token(request) in self.revoked:
            return _error(401, None, "Invalid credentials in Authorization header")
        for old, new in self.renamed.items():
            if f"/{old}/" in path:
                return 307, {"Location": path.replace(old, new)}, b"Temporary Redirect"
        if path.startswith("/api/models/") and len(words) >= 4:
            return self._api(request, "/".join(words[2:4]), words[4:], query)
        if words[:2] == ["api", "resolve-cache"]:
            owner, repo, commit = words[3:6]
            return self._small(f"{owner}/{repo}", commit, unquote("/".join(words[6:])))
        if len(words) >= 5 and words[2] == "resolve":
            name, revision = "/".join(words[:2]), unquote(words[3])
            return self._resolve(request, name, revision, unquote("/".join(words[4:])))
        return None

    # who may see what

    def _token(self, request):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None

    def _refusal(self, request, name):
        """Answers as the real one does: an unknown repository is 401 to strangers, 404 else."""
        token, repository = self._token(request), self.repositories.get(name)
        hidden = repository is None or (repository.private and token not in repository.granted)
        if hidden:
            status = 404 if token else 401
            words = "Repository not found" if token else "Invalid username or password."
            return _error(status, "RepoNotFound", words)
        return None

    def _gate(self, request, repository):
        if repository.gated and self._token(request) not in repository.granted:
            if self._token(request) is None:
                words = (
                    f"Access to model {repository.name} is restricted. You must have access to it "
                    "and be authenticated to access it. Please log in."
                )
                return _error(401, "GatedRepo", words)
            words = (
                f"Access to model {repository.name} is restricted and you are not in the "
                f"authorized list. Visit /{repository.name} to ask for access."
            )
            return _error(403, "GatedRepo", words)
        return None

    def _at(self, name, revision):
        repository = self.repositories[name]
        if revision == "main":
            return repository
        commit = repository.branches.get(revision, revision)
        return self._old.get((name, commit))

    # the API

    def _api(self, request, name, rest, query):
        if refusal := self._refusal(request, name):
            return refusal
        what, revision = (rest or ["revision"])[0], unquote(rest[1]) if len(rest) > 1 else "main"
        repository = self._at(name, revision)
        if repository is None:
            return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if what == "revision":
            return _json(self._info(repository, blobs="true" in query.get("blobs", ())))
        if what == "tree":
            return self._tree(repository, revision, query)
        return None

    def _info(self, repository, *, blobs):
        siblings = []
        for path in sorted(repository.files):
            entry = {"rfilename": path}
            if blobs:
                tree = _entry(repository, path)
                entry |= {"size": tree["size"], "blobId": tree["oid"]}
                if "lfs" in tree:
                    lfs = tree["lfs"]
                    entry["lfs"] = {
                        "sha256": lfs["oid"],
                        "size": lfs["size"],
                        "pointerSize": lfs["pointerSize"],
                    }
            siblings.append(entry)
        card = dict(repository.card)
        tags = ["gguf"]
        if "license" in card:
            tags.append(f"license:{card['license']}")
        base = card.get("base_model", [])
        tags += [f"base_model:{each}" for each in ([base] if isinstance(base, str) else base)]
        return {
            "_id": "0" * 24,
            "id": repository.name,
            "modelId": repository.name,
            "author": repository.name.split("/")[0],
            "sha": repository.commit,
            "lastModified": "2025-01-01T00:00:00.000Z",
            "private": repository.private,
            "gated": repository.gated,
            "disabled": False,
            "downloads": 1,
            "likes": 0,
            "tags": tags,
            "cardData": card,
            "siblings": siblings,
        }

    def _tree(self, repository, revision, query):
        entries = [_entry(repository, path) for path in sorted(repository.files)]
        start = json.loads(base64.b64decode(query.get("cursor", ["MA=="])[0], validate=True))
        page = entries[start : start + repository.page]
        more = {}
        if start + repository.page < len(entries):
            where = f"{self.url}/api/models/{repository.name}/tree/{quote(revision, safe='')}"
            cursor = quote(base64.b64encode(b"%d" % (start + repository.page)), safe="")
            rest = f"expand=false&recursive=true&limit={repository.page}&cursor={cursor}"
            more["Link"] = f'<{where}?{rest}>; rel="next"'
        return _json(page, more)

    # files

    def _resolve(self, request, name, revision, path):
        if refusal := self._refusal(request, name):
            return refusal
        repository = self._at(name, revision)
        if repository is None:
            return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if refusal := self._gate(request, repository):
            return refusal
        if path not in repository.files:
            return _error(404, "EntryNotFound", "Entry not found")
        digest, size = repository.digests[path], repository.size(path)
        more = {
            "X-Repo-Commit": repository.commit,
            "X-Linked-Size": str(size),
            "Accept-Ranges": "bytes",
        }
        if repository.is_lfs(path):
            self._signature += 1
            more["X-Linked-Etag"] = f'"{digest}"'
            more["X-Xet-Hash"] = hashlib.sha256(digest.encode()).hexdigest()
            more["Link"] = (
                f"<{self.url}/api/models/{name}/xet-read-token/{repository.commit}>; "
                'rel="xet-auth", <https://cas-server.xethub.hf.co/v1/reconstructions/'
                f'{more["X-Xet-Hash"]}>; rel="xet-reconstruction-info"'
            )
            where = f"{self.site.cdn_url}/signed/{name}/{digest}"
            more["Location"] = f"{where}?X-Amz-Signature=SIGNED{self._signature}"
            return 302, more, f"Found. Redirecting to {where}".encode()
        more["X-Linked-Etag"] = f'"{_oid(repository.files[path])}"'
        more["Location"] = f"/api/resolve-cache/models/{name}/{repository.commit}/{quote(path)}"
        return 307, more, b"Temporary Redirect"

    def _small(self, name, commit, path):
        repository = self._old[name, commit]
        body = repository.files[path]
        return File(body, f'"{_oid(body)}"', headers={"X-Repo-Commit": commit})

    def _signed(self, words, query):
        signature = query.get("X-Amz-Signature", ["SIGNED0"])[0].removeprefix("SIGNED")
        if int(signature) < self._valid_from:
            return 403, {}, b"<Error><Code>AccessDenied</Code></Error>"
        name, digest = "/".join(words[1:3]), words[3]
        for (each, _commit), repository in self._old.items():
            for path, found in repository.digests.items():
                if each == name and found == digest:
                    return File(repository.files[path], f'"{digest[:32]}"')
        return None


def _entry(repository, path):
    size = repository.size(path)
    entry = {"type": "file", "oid": "0" * 40, "size": size, "path": path}
    if repository.is_lfs(path):
        pointer = hashlib.sha1(repository.digests[path].encode()).hexdigest()
        entry["oid"] = pointer
        entry["lfs"] = {"oid": repository.digests[path], "size": size, "pointerSize": 135}
        entry["xetHash"] = hashlib.sha256(repository.digests[path].encode()).hexdigest()
    else:
        entry["oid"] = _oid(repository.files[path])
    return entry


def _json(value, headers=None):
    more = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return 200, more, json.dumps(value).encode()


def _error(status, code, words):
    body = json.dumps({"error": words}).encode()
    more = {"Content-Type": "application/json", "X-Error-Message": words}
    if code is not None:
        more["X-Error-Code"] = code
    return status, more, body
