"""The problems of `ollama:` sources."""

from llmdecl.diagnostics import Rule, Severity

OLLAMA_UNKNOWN = Rule(
    "LD455",
    "ollama-unknown",
    Severity.ERROR,
    """Neither Ollama's store on this machine nor its registry has this model. A name is
`[HOST/][NAMESPACE/]NAME[:TAG]`, as `ollama list` shows it; the tag is `latest` when none is given.
The notes say where was looked. `sources.ollama.models-dir` or `OLLAMA_MODELS` says where the store
is.""",
)
OLLAMA_MANIFEST = Rule(
    "LD456",
    "ollama-manifest-damaged",
    Severity.ERROR,
    """The model's manifest, or its configuration, is not what Ollama writes: broken JSON, a
digest that is none, another kind of manifest. `ollama pull NAME` writes it anew.""",
)
OLLAMA_BLOB = Rule(
    "LD457",
    "ollama-blob-damaged",
    Severity.ERROR,
    """A file that the model's manifest names is not in Ollama's store, can't be read, or has
another size or SHA-256 than its name and the manifest say: an unfinished pull, or a disk that
forgets. `ollama pull NAME` brings it again.""",
)
OLLAMA_BLOB_PASSED = Rule(
    "LD458",
    "ollama-blob-passed-over",
    Severity.WARNING,
    """Ollama's store has a file under the wanted digest's name, but its content is another. It
was left alone, and the weights were brought from elsewhere.""",
)
OLLAMA_LAYER = Rule(
    "LD459",
    "ollama-layer-missing",
    Severity.ERROR,
    """The Ollama model has no layer for this role. Weights are the layer `model`, a projector is
`projector`, an adapter `adapter`, a draft model `draft`; the notes list what there is.""",
)
OLLAMA_CLOUD = Rule(
    "LD460",
    "ollama-cloud",
    Severity.ERROR,
    """The model runs on somebody else's machine: Ollama only forwards requests to the host that
its configuration names, and there are no weights to serve.""",
)
OLLAMA_SAFETENSORS = Rule(
    "LD461",
    "ollama-safetensors",
    Severity.ERROR,
    """The model's layers are safetensors, for Ollama's MLX engine. llama.cpp reads GGUF: take
another tag of the model, or a GGUF of it from Hugging Face.""",
)
OLLAMA_LAYOUT = Rule(
    "LD462",
    "ollama-layout",
    Severity.ERROR,
    """Ollama wrote this GGUF in a layout of its own, which it translates whenever it loads it.
Upstream llama.cpp, which llmdecl runs, can't load it, or would answer nonsense. The same model in
llama.cpp's own layout is at Hugging Face; where it sees or hears, its encoder is a file of its own
there (`mmproj`). The layouts and their signs are Ollama's `llama/compat`.""",
)
OLLAMA_LEFT = Rule(
    "LD463",
    "ollama-left-behind",
    Severity.WARNING,
    """An Ollama model is more than weights: a template, a system prompt, parameters, messages,
companions. They are not taken over silently. The help lines are the same in a spec's words; what
has no key is in the notes. This is said once, when the model is pinned.""",
)
OLLAMA_UNREADABLE = Rule(
    "LD464",
    "ollama-store-unreadable",
    Severity.WARNING,
    """Ollama's store may hold the model, but this user may not read it, so it came from the
registry. Reading needs no more than the group's permission: `usermod -aG ollama USER`.""",
)

RULES: tuple[Rule, ...] = (
    OLLAMA_UNKNOWN,
    OLLAMA_MANIFEST,
    OLLAMA_BLOB,
    OLLAMA_BLOB_PASSED,
    OLLAMA_LAYER,
    OLLAMA_CLOUD,
    OLLAMA_SAFETENSORS,
    OLLAMA_LAYOUT,
    OLLAMA_LEFT,
    OLLAMA_UNREADABLE,
)
