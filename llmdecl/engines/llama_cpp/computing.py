"""How it computes: batches, threads, loading."""

from dataclasses import dataclass

from llmdecl.engines.choice import Choice, Chooser
from llmdecl.engines.llama_cpp.writer import Writer
from llmdecl.memory.hparams import Shape

BATCH_SIZE_DEFAULT = 2048
UBATCH_SIZE_DEFAULT = 512
HTTP_THREADS_BESIDE_SLOTS = 4
"""Beside one thread for each slot: health, slots and the like stay answerable."""

BEFORE_LOAD_MODE = {
    "none": (False, False, False),
    "mmap": (True, False, False),
    "mlock": (False, True, False),
    "mmap+mlock": (True, True, False),
    "dio": (False, False, True),
}
"""What `--load-mode` was before it had a flag of its own: `--mmap`, `--mlock`, `--direct-io`."""


@dataclass(frozen=True, slots=True)
class Computing:
    """`mapped`: weights stay in their file's pages."""

    batch_size: Choice[int]
    ubatch_size: Choice[int]
    cont_batching: Choice[bool]
    threads: Choice[int]
    threads_batch: Choice[int]
    threads_http: Choice[int]
    load_mode: Choice[str]
    repack: Choice[bool]
    warmup: Choice[bool]

    @property
    def mapped(self) -> bool:
        """Weights stay in their file's pages."""
        return self.load_mode.value in ("mmap", "mmap+mlock")


def decide_computing(
    pick: Chooser, shape: Shape, *, cores: int, parallel: int, n_ctx: int, whole_text: int
) -> Computing:
    """`whole_text`: tokens that one batch must hold because a text is embedded at once; else 0."""
    threads = pick.pick("threads", default=cores, why=f"the host has {cores} physical cores")
    batch, ubatch = _batches(pick, shape, n_ctx, whole_text)
    return Computing(
        batch_size=batch,
        ubatch_size=ubatch,
        cont_batching=pick.pick("cont-batching", default=True, why="slots share each batch"),
        threads=threads,
        threads_batch=pick.pick(
            "threads-batch", default=threads.value, why="the same as `threads`"
        ),
        threads_http=pick.pick(
            "threads-http",
            default=parallel + HTTP_THREADS_BESIDE_SLOTS,
            why="one for each slot, and some for questions about it",
        ),
        load_mode=pick.pick("load-mode", default="mmap", why="loads fast and shares pages"),
        repack=pick.pick("repack", default=True, why="faster on this kind of processor"),
        warmup=pick.pick("warmup", default=True, why="the first answer does not wait for it"),
    )


def _batches(
    pick: Chooser, shape: Shape, n_ctx: int, whole_text: int
) -> tuple[Choice[int], Choice[int]]:
    """Clipped as the engine clips them, so that the flags say what happens."""
    batch = pick.pick("batch-size", default=BATCH_SIZE_DEFAULT, why="default")
    ubatch = pick.pick("ubatch-size", default=UBATCH_SIZE_DEFAULT, why="default")
    if whole_text:
        if not ubatch.given:
            ubatch = ubatch.but(whole_text, "a text is embedded in one batch")
        if batch.value != ubatch.value:
            batch = batch.but(ubatch.value, "when embedding, the same as `ubatch-size`")
        return batch, ubatch
    if batch.value > n_ctx and not shape.encoder:
        batch = batch.but(n_ctx, f"{batch.value} ({batch.reason}), cut to the context of {n_ctx}")
    if ubatch.value > batch.value:
        ubatch = ubatch.but(batch.value, f"{ubatch.value} ({ubatch.reason}), cut to `batch-size`")
    return batch, ubatch


def write_computing(computing: Computing, to: Writer) -> None:
    """Batches, threads and loading as flags."""
    to.both(computing.repack, "repack")
    to.value(computing.batch_size, "--batch-size", needed=True)
    to.value(computing.ubatch_size, "--ubatch-size", needed=True)
    to.both(computing.cont_batching, "cont-batching")
    to.value(computing.threads, "--threads", needed=True)
    to.value(computing.threads_batch, "--threads-batch", needed=True)
    to.value(computing.threads_http, "--threads-http")
    _write_load_mode(computing.load_mode, to)
    lazily = computing.load_mode.but(
        "off", "weights count as resident, as versions without it have"
    )
    to.value(lazily, "--lazy-mode", without="off")
    to.both(computing.warmup, "warmup")


def _write_load_mode(mode: Choice[str], to: Writer) -> None:
    if to.has("--load-mode"):
        to.value(mode, "--load-mode")
        return
    mapped, locked, direct = (mode.but(on, mode.reason) for on in BEFORE_LOAD_MODE[mode.value])
    if direct.value:  # a switch of its own, which was never on by itself
        to.words(mode.address, mode.reason, (), "--direct-io", needed=True)
        return
    to.both(mapped, "mmap", without=True)
    to.switch(locked, ("--mlock",), (), without=False)
