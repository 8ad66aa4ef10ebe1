"""The problems that `plan` finds."""

from llmdecl.diagnostics import Rule, Severity

ERROR, WARNING = Severity.ERROR, Severity.WARNING

NOT_LOCKED = Rule(
    "LD301",
    "not-locked",
    ERROR,
    """A source or an engine is not in `llmdecl.lock`, so nothing says what it is exactly, and no
plan can be made of it. `llmdecl lock` resolves and pins it; the lock belongs into version control
beside the spec.""",
)
WEIGHTS_UNKNOWN = Rule(
    "LD302",
    "weights-unknown",
    ERROR,
    """Neither the lock nor this machine has the header of these weights, so the compiler can prove
nothing about them. `llmdecl lock` records the header; a file that is no GGUF cannot be served.""",
)
WEIGHTS_MISSING = Rule(
    "LD303",
    "weights-missing",
    ERROR,
    """A `file:` source is locked, but the file is not where the spec says. It is referenced and
never fetched: put it back, or change the source and lock again.""",
)
WEIGHTS_CHANGED = Rule(
    "LD304",
    "weights-changed",
    ERROR,
    """A file is there, but its size or digest is not what the lock pins. Put the pinned file back,
or accept the new one with `llmdecl lock --update NAME`.""",
)
FILE_TYPE_MISMATCH = Rule(
    "LD305",
    "file-type-mismatch",
    ERROR,
    """`quantization` names one file type, the tensors are of another. What counts is the type that
holds most bytes of the block matrices; llama-quantize's own fall-backs for short rows are allowed
for. Either the wrong file is named, or the wrong quantization.""",
)
QUANTIZATION_UNKNOWN = Rule(
    "LD306",
    "quantization-unknown",
    WARNING,
    """`quantization` is no name of llama.cpp's file types, so it cannot be checked against the
tensors. Names are those of `llama-quantize`, such as `Q4_K_M` or `Q8_0`.""",
)
CTX_BEYOND_TRAINING = Rule(
    "LD307",
    "ctx-beyond-training",
    ERROR,
    """One request is promised more tokens than the model was trained for. llama-server would cap
the slot silently and keep the memory. Ask for less, say `ctx-size = "native"`, or stretch the
positions with `rope-scaling` (and `rope-scale`), which costs quality.""",
)
CHAT_TEMPLATE_MISSING = Rule(
    "LD308",
    "chat-template-missing",
    ERROR,
    """A chat model needs a template that turns messages into a prompt; neither the header nor the
spec has one. Give `chat-template` a built-in name (`chatml`) or a Jinja template, or say
`task = "completion"` for a base model.""",
)
POOLING_UNKNOWN = Rule(
    "LD309",
    "pooling-unknown",
    ERROR,
    """An embedding model turns many token vectors into one by pooling. The header names no pooling
type and neither does the spec: say `pooling = "mean"` (or `cls`, `last`), as its authors do.""",
)
POOLING_MISMATCH = Rule(
    "LD310",
    "pooling-mismatch",
    ERROR,
    """Task and pooling type exclude each other: reranking needs `rank`, and `rank` is no
embedding. The header or the spec says otherwise.""",
)
DRAFT_MISMATCH = Rule(
    "LD311",
    "draft-vocabulary-mismatch",
    ERROR,
    """A draft model proposes token numbers, so it must have the very vocabulary of the model it
drafts for: the same tokenizer, tokens and token types. Take a smaller model of the same family.""",
)
ADAPTER_MISMATCH = Rule(
    "LD312",
    "adapter-mismatch",
    ERROR,
    """A `lora` source is no adapter, or an adapter for another architecture than the model's.""",
)
NOT_A_MODEL = Rule(
    "LD313",
    "not-a-model",
    ERROR,
    """The GGUF file is of another kind than a language model: an adapter, a projector, an
importance matrix. `llmdecl inspect FILE` shows what it is.""",
)
RAM_OVERCOMMIT = Rule(
    "LD314",
    "ram-overcommit",
    ERROR,
    """The model needs more memory than the host may give to models at all, so it can never be
loaded. The notes show the sum; the help lists changes that were computed to fit.""",
)
RESIDENTS_OVERCOMMIT = Rule(
    "LD315",
    "residents-overcommit",
    ERROR,
    """The models that are loaded at start, or never unloaded, don't fit into memory together. Let
one of them load on demand, or make them smaller.""",
)
NO_ROOM_BESIDE = Rule(
    "LD316",
    "no-room-beside-residents",
    ERROR,
    """A model on demand does not fit beside those that are never unloaded, so no request for it
could ever be answered. Give one of the residents a `ttl`, or make something smaller.""",
)
NEVER_ALONE = Rule(
    "LD318",
    "never-alone",
    ERROR,
    """A model is `alone`, so it shares no device with another one (without devices: not the CPU),
and another model is there for good: both are loaded at start, or one of the two is never unloaded.
Take `alone` away, give one of them other `devices`, or let it be unloaded. Devices of one
`ggml-rpc-server` are never shared: it serves one client, and the next one waits.""",
)
VRAM_OVERCOMMIT = Rule(
    "LD317",
    "vram-overcommit",
    ERROR,
    """The model needs more of a device than may be given to models there at all, placed as the spec
says, or as the plan has found best. The notes show the sum; the help lists changes that were
computed to fit.""",
)
UNKNOWN_FLAG = Rule(
    "LD320",
    "unknown-flag",
    ERROR,
    """An extra argument is not a flag of this engine, by its own `--help`: misspelled, of another
version, or removed. llama-server would refuse to start.""",
)
BAD_FLAG_VALUE = Rule(
    "LD321",
    "bad-flag-value",
    ERROR,
    """A flag of the engine has too few or too many values, or one that it does not allow.""",
)
FLAG_OWNED = Rule(
    "LD322",
    "flag-owned",
    ERROR,
    """An extra argument repeats or contradicts a flag that the compiler writes itself, or it would
open what llmdecl keeps closed. Most such flags have a key of their own in the spec.""",
)
SETTING_UNSUPPORTED = Rule(
    "LD323",
    "setting-unsupported",
    ERROR,
    """The engine at hand has no flag for this setting: it is older or newer than the key.
`llmdecl explain MODEL` shows what it is passed; another engine version may have it.""",
)
ENVIRONMENT_OWNED = Rule(
    "LD324",
    "environment-owned",
    ERROR,
    """A variable of the model's environment would set a flag that the compiler writes, carry a
secret, or pretend to be one of llmdecl's own. Use the spec's key instead.""",
)
CACHE_TYPES_DIFFER = Rule(
    "LD332",
    "cache-types-differ",
    ERROR,
    """A model with multi-head latent attention keeps one cache for K and V, so both types must be
equal; llama.cpp refuses to start otherwise.""",
)
CACHE_TYPE_UNEVEN = Rule(
    "LD333",
    "cache-type-uneven",
    ERROR,
    """The head length is no multiple of the cache type's block, so llama.cpp cannot quantise the
cache and refuses to start.""",
)
IDLE_SLOTS = Rule(
    "LD334",
    "idle-slots-without-cache",
    ERROR,
    """`cache-idle-slots` keeps idle slots in the prompt cache, which `cache-ram` sizes. Without it
the setting does nothing.""",
)
SMALL_BATCH = Rule(
    "LD335",
    "batch-smaller-than-text",
    WARNING,
    """A text is embedded in one batch, so texts longer than `ubatch-size` are refused although
`ctx-size` promises more. Leave `ubatch-size` out, or lower `ctx-size`.""",
)
ARCHITECTURE_UNKNOWN = Rule(
    "LD336",
    "architecture-unknown",
    WARNING,
    """The memory rules of this architecture were not read in llama.cpp's source. Its sizes follow
the general rule with half as much again for the work buffer, and may be wrong.""",
)
TEMPLATE_IS_NO_TEMPLATE = Rule(
    "LD337",
    "chat-template-without-jinja",
    ERROR,
    """With `jinja` on, the engine takes `chat-template` for a Jinja template, save for the name
`chatml`. A text without any `{` would be the prompt itself, whatever was asked. Give the template's
text, or turn `jinja` off for a built-in name.""",
)
ENGINE_UNCHOSEN = Rule(
    "LD340",
    "engine-unchosen",
    ERROR,
    """The model names no engine, and the spec has none or several; or it names one that the spec
does not have. Say `engine = "NAME"`, in the model or in `[defaults]`.""",
)
ENGINE_DEMANDS = Rule(
    "LD341",
    "engine-demands-more",
    ERROR,
    """The engine was built for processors with features that the host lacks: it would answer
`--version` and die of an illegal instruction when it loads a model. Take a build for this kind of
processor.""",
)
UNKNOWN_DEVICE = Rule(
    "LD350",
    "unknown-device",
    ERROR,
    """A device is named that the host does not have: neither `[[host.devices]]` declares it nor
was it detected. `llmdecl facts` shows the ids of what was.""",
)
DEVICE_NAMED_TWICE = Rule(
    "LD351",
    "device-named-twice",
    ERROR,
    """A model's `devices` name one device twice. The order of `devices` is that of `tensor-split`;
each stands there once.""",
)
DEVICE_OUT_OF_REACH = Rule(
    "LD352",
    "device-out-of-reach",
    ERROR,
    """The model's engine has no backend for a device that the model is told to use. Take an engine
that was built for it, or another device.""",
)
NO_DEVICE = Rule(
    "LD353",
    "no-device",
    ERROR,
    """The spec puts layers on devices, and there is none that the model may use: the host has none,
the engine reaches none, or `devices` is empty. llama-server would start all the same and compute
everything on the processor.""",
)
BAD_TENSOR_SPLIT = Rule(
    "LD354",
    "bad-tensor-split",
    ERROR,
    """`tensor-split` has one share for each device that the model may use, in their order, and not
all of them are zero. Otherwise llama.cpp gives layers to other devices than the spec means.""",
)
SPLIT_MODE_UNSUPPORTED = Rule(
    "LD355",
    "split-mode-unsupported",
    ERROR,
    """llama.cpp does not start with this `split-mode`. Rows are split by SYCL alone since CUDA and
HIP lost it (pull request 24216, June 2026: "device CUDA0 does not support split buffers"); `tensor`
is what took its place. `tensor` cuts every matrix over all devices, needs flash attention, and
llama.cpp refuses it for some architectures.""",
)
NO_EXPERTS = Rule(
    "LD356",
    "no-experts",
    ERROR,
    """`cpu-moe` and `n-cpu-moe` keep experts on the CPU, and the model is none of a mixture of
experts: they would do nothing. Use `n-gpu-layers` to keep whole layers there.""",
)
BAD_OVERRIDE = Rule(
    "LD357",
    "bad-override-tensor",
    ERROR,
    """An entry of `override-tensor` is `REGEX=BUFFER`, where the buffer is `CPU` or the id of a
device that the model is on. The expression is one that C++ (ECMAScript) takes; `=` and `,` would
end it.""",
)
BAD_MAIN_GPU = Rule(
    "LD358",
    "main-gpu-out-of-range",
    ERROR,
    """`main-gpu` counts the devices that the model may use, from 0; there are fewer.""",
)
MOE_TWICE = Rule(
    "LD359",
    "experts-placed-twice",
    ERROR,
    """`cpu-moe` keeps all experts on the CPU and `n-cpu-moe` those of some layers: they contradict
each other.""",
)
NOT_A_PROJECTOR = Rule(
    "LD360",
    "not-a-projector",
    ERROR,
    """The source of `mmproj` is no multimodal projector (a GGUF file of type `mmproj`): a language
model, perhaps, or an adapter. `llmdecl inspect FILE` shows what it is.""",
)
DEVICES_UNREACHED = Rule(
    "LD361",
    "devices-unreached",
    WARNING,
    """The host has devices for which the engine was not built, so its models leave them unused.
Take an engine with a backend for them; `devices = []` in the model or in `[defaults]` says that the
CPU is meant.""",
)
ENGINE_BEYOND_RULES = Rule(
    "LD366",
    "engine-beyond-rules",
    WARNING,
    """The memory rules were read in, and checked against, particular versions of llama.cpp; this
engine is an older or newer one, or does not say which. Another version mostly allocates the same,
but nobody has proved it of this one: what fits by a few MiB may not. Versions without `--fit`
(before the end of 2025) count blocks first in `n-gpu-layers`, and the output layer last.
`llmdecl plan --verify` loads the models and compares; a larger `vram-margin` covers what is not
known.""",
)
MODEL_IMPOSSIBLE = Rule(
    "LD365",
    "model-impossible",
    ERROR,
    """The header says what no model has (no blocks, more than 512 of them, numbers that llama.cpp
does not read, tensors that do not go together), so llama.cpp would refuse the file and nothing of
it can be worked out. It is damaged, or made to harm.""",
)

RULES: tuple[Rule, ...] = (
    NOT_LOCKED,
    WEIGHTS_UNKNOWN,
    WEIGHTS_MISSING,
    WEIGHTS_CHANGED,
    FILE_TYPE_MISMATCH,
    QUANTIZATION_UNKNOWN,
    CTX_BEYOND_TRAINING,
    CHAT_TEMPLATE_MISSING,
    POOLING_UNKNOWN,
    POOLING_MISMATCH,
    DRAFT_MISMATCH,
    ADAPTER_MISMATCH,
    NOT_A_MODEL,
    RAM_OVERCOMMIT,
    RESIDENTS_OVERCOMMIT,
    NO_ROOM_BESIDE,
    NEVER_ALONE,
    VRAM_OVERCOMMIT,
    UNKNOWN_FLAG,
    BAD_FLAG_VALUE,
    FLAG_OWNED,
    SETTING_UNSUPPORTED,
    ENVIRONMENT_OWNED,
    CACHE_TYPES_DIFFER,
    CACHE_TYPE_UNEVEN,
    IDLE_SLOTS,
    SMALL_BATCH,
    ARCHITECTURE_UNKNOWN,
    TEMPLATE_IS_NO_TEMPLATE,
    ENGINE_UNCHOSEN,
    ENGINE_DEMANDS,
    UNKNOWN_DEVICE,
    DEVICE_NAMED_TWICE,
    DEVICE_OUT_OF_REACH,
    NO_DEVICE,
    BAD_TENSOR_SPLIT,
    SPLIT_MODE_UNSUPPORTED,
    NO_EXPERTS,
    BAD_OVERRIDE,
    BAD_MAIN_GPU,
    MOE_TWICE,
    NOT_A_PROJECTOR,
    DEVICES_UNREACHED,
    ENGINE_BEYOND_RULES,
    MODEL_IMPOSSIBLE,
)
