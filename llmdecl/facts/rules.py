"""The problems that `facts` finds."""

from llmdecl.diagnostics import Rule, Severity

GGUF_UNREADABLE = Rule(
    "LD201",
    "gguf-unreadable",
    Severity.ERROR,
    """The file can't be opened or read: it is absent, not a regular file, or its permissions
forbid it. The note holds the system's own words.""",
)
GGUF_OTHER_FORMAT = Rule(
    "LD202",
    "gguf-other-format",
    Severity.ERROR,
    """The file doesn't begin with `GGUF`, so llama.cpp can't load it. Common reasons: a Git LFS
pointer or an error page was saved instead of the weights, or the weights are in another
format (safetensors, pickle, GGML of 2023) and need llama.cpp's conversion scripts.""",
)
GGUF_BIG_ENDIAN = Rule(
    "LD203",
    "gguf-big-endian",
    Severity.ERROR,
    """The file was written for a big-endian machine; its numbers are byte-swapped. llama.cpp
loads a file only on machines of its own byte order. Use the little-endian file, or
convert it with `gguf_convert_endian.py` of the `gguf` package.""",
)
GGUF_VERSION = Rule(
    "LD204",
    "gguf-version-unsupported",
    Severity.ERROR,
    """llama.cpp reads GGUF versions 2 and 3. Version 1 (August 2023, 32-bit lengths) has to be
converted again from the original weights; a higher version needs a newer llmdecl and
engine.""",
)
GGUF_CUT_SHORT = Rule(
    "LD205",
    "gguf-cut-short",
    Severity.ERROR,
    """The header or the tensors reach beyond the end of the file: a download that was cut off,
or a length that was damaged. The notes name the place and both numbers. Fetch the file
again.""",
)
GGUF_BROKEN = Rule(
    "LD206",
    "gguf-header-broken",
    Severity.ERROR,
    """The header breaks a rule of the format that llama.cpp insists on: an unknown value type,
an array of arrays, a key or a tensor name twice, more than four dimensions, an alignment
that is no power of two, rows that are not whole blocks. The file was written by a faulty
tool or is damaged.""",
)
GGUF_OVERSIZED = Rule(
    "LD207",
    "gguf-header-oversized",
    Severity.ERROR,
    """The header is larger than llmdecl reads (256 MiB, 8 million strings, 65,536 keys, 65,536
tensors), far beyond any real model. The limits keep a hostile file from taking time and
memory.""",
)
GGUF_MISPLACED = Rule(
    "LD208",
    "gguf-tensor-misplaced",
    Severity.ERROR,
    """llama.cpp wants the tensors one after another in the header's order, each at the next
multiple of the alignment. Here one overlaps another, is misaligned, or leaves a gap. The
file was written by a faulty tool or is damaged.""",
)
GGUF_NO_MODEL = Rule(
    "LD209",
    "gguf-no-model",
    Severity.ERROR,
    """The header names no architecture (`general.architecture`) or the file holds no tensors: a
vocabulary-only file, or one part of a split model. An engine can't serve it.""",
)
GGUF_TEXT = Rule(
    "LD210",
    "gguf-text-not-utf-8",
    Severity.WARNING,
    """A key, a name or a text in the header is not UTF-8. It is shown with the odd bytes
escaped; the engine sees the bytes as they are.""",
)
SPLIT_PART_MISSING = Rule(
    "LD211",
    "split-part-missing",
    Severity.ERROR,
    """A split model has all its parts (`-00001-of-0000N.gguf` ...) in one folder. The ones that
are named are not there, so the engine would refuse to load it.""",
)
SPLIT_PART_MISMATCH = Rule(
    "LD212",
    "split-part-mismatch",
    Severity.ERROR,
    """The parts of a split model don't belong together: a part's number or count in its header
differs from its name, or the tensors of all parts are not as many as the first part says.
Fetch all parts from one place and revision, under their original names.""",
)
ENGINE_MISSING = Rule(
    "LD220",
    "engine-missing",
    Severity.ERROR,
    """The program of an engine is not where the spec or the lock says. With provider `path`,
check the path (a relative one starts at the spec's folder); with `pypi`, run `llmdecl
fetch`.""",
)
ENGINE_NOT_RUNNABLE = Rule(
    "LD221",
    "engine-not-runnable",
    Severity.ERROR,
    """The program of an engine can't be started: it lacks the executable bit, is built for
another processor or system, or one of its shared libraries is not found. The notes hold
the system's own words.""",
)
ENGINE_FAILED = Rule(
    "LD222",
    "engine-failed",
    Severity.ERROR,
    """Asked for its version, help or devices, the program ended with an error or a signal.
SIGILL means that it was built for a processor with features that this one lacks: take
another build. The notes hold its own words.""",
)
ENGINE_HANGS = Rule(
    "LD223",
    "engine-hangs",
    Severity.ERROR,
    """Asked for its version, help or devices, the program did not answer in time. It was ended.""",
)
ENGINE_OTHER_PROGRAM = Rule(
    "LD224",
    "engine-other-program",
    Severity.ERROR,
    """The program answers, but not as llama-server does: its help has no `--model`, `--host` and
`--ctx-size`. `llama-cli` and wrappers are other programs.""",
)
ENGINE_CHANGED = Rule(
    "LD225",
    "engine-changed",
    Severity.ERROR,
    """The program at an engine's path is not the one that the lock pins. `llmdecl lock --update
NAME` pins the new one; what the plan says changes with it.""",
)
HOST_UNKNOWN = Rule(
    "LD230",
    "host-unknown",
    Severity.ERROR,
    """The processor or the memory of this machine can't be detected. Declare them: `host.ram`
and `host.cpu.cores`.""",
)
PROBE_FAILED = Rule(
    "LD231",
    "hardware-probe-failed",
    Severity.WARNING,
    """A tool or library that lists accelerators is there and fails, so its devices are unknown and
nothing is placed on them. The notes hold its own words; `Driver/library version mismatch` means
that the driver was updated since the machine started. Repair it, or declare the devices in
`[[host.devices]]`.""",
)
DEVICE_UNUSABLE = Rule(
    "LD232",
    "device-unusable",
    Severity.WARNING,
    """An accelerator is in the machine and can't be used: this user may not open it, it has no
driver, it is in MIG mode without an instance, or nobody knows its memory. Nothing is placed on it.
Where it is not meant to be used, `host.devices = []` says so.""",
)
DEVICE_IN_USE = Rule(
    "LD233",
    "device-memory-in-use",
    Severity.WARNING,
    """Programs that are none of llmdecl's hold memory of a device. A plan counts on the whole
memory less `vram-margin`, because it has to be the same on any day: while they run, a model that
fits by the plan may fail to load. End them, or raise `vram-margin` by what they take.""",
)
LOAD_FAILED = Rule(
    "LD242",
    "load-failed",
    Severity.ERROR,
    """The engine was asked to load a model, to see what it allocates, and ended or hung before it
listened. Its last lines are in the notes, and before them what they mean where that is known.""",
)
DEVICE_UNLISTED = Rule(
    "LD234",
    "device-not-listed",
    Severity.WARNING,
    """An engine was built for a device's backend, was asked, and doesn't list the device, so it
would silently compute on the processor. Common reasons: the driver is older than the engine's CUDA
or ROCm, the device is too old for the build, a container was started without it.""",
)
FACTS_UNREADABLE = Rule(
    "LD240",
    "facts-unreadable",
    Severity.ERROR,
    """The file given with `--facts` can't be read, is not JSON, or is not a recording of facts.
Record one with `llmdecl facts --output FILE`.""",
)
FACTS_OTHER_SCHEMA = Rule(
    "LD241",
    "facts-other-schema",
    Severity.ERROR,
    """The recording was written by another version of llmdecl. Record it again with this one.""",
)

RULES: tuple[Rule, ...] = (
    GGUF_UNREADABLE,
    GGUF_OTHER_FORMAT,
    GGUF_BIG_ENDIAN,
    GGUF_VERSION,
    GGUF_CUT_SHORT,
    GGUF_BROKEN,
    GGUF_OVERSIZED,
    GGUF_MISPLACED,
    GGUF_NO_MODEL,
    GGUF_TEXT,
    SPLIT_PART_MISSING,
    SPLIT_PART_MISMATCH,
    ENGINE_MISSING,
    ENGINE_NOT_RUNNABLE,
    ENGINE_FAILED,
    ENGINE_HANGS,
    ENGINE_OTHER_PROGRAM,
    ENGINE_CHANGED,
    HOST_UNKNOWN,
    PROBE_FAILED,
    DEVICE_UNUSABLE,
    DEVICE_IN_USE,
    DEVICE_UNLISTED,
    LOAD_FAILED,
    FACTS_UNREADABLE,
    FACTS_OTHER_SCHEMA,
)
