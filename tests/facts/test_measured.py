"""What models took, read back."""

from llmdecl.facts.measured import read_measured
from llmdecl.measured import Measured, MeasuredPart
from llmdecl.router.config import ModelConfig
from llmdecl.router.measurements import KEPT, keep
from llmdecl.router.placement import Verdict
from llmdecl.values import to_json

PARTS = (
    MeasuredPart(pool="host", part="output", bytes=3),
    MeasuredPart(pool="gpu0", part="weights", bytes=100),
    MeasuredPart(pool="gpu0", part="kv-cache", bytes=20),
)


def config(digest, name="m"):
    return ModelConfig(
        name=name, aliases=(), task="chat", program="model-m", socket="s", digest=digest, slots=1,
        n_ctx=1, ttl_s=None, load="demand", start_timeout_s=1.0, claims=(), defaults={},
    )  # fmt: skip


def test_written_by_the_router_and_read_by_facts(tmp_path):
    """What a start has shown comes back by its digest, by pool, with the longest load."""
    folder = tmp_path / "measured"
    verdict = Verdict(where="gpu0 33/33 layers", parts=PARTS)
    for load_s in (2.5, 7.25, 1.0):
        keep(folder, config("a" * 64), verdict, load_s)
    found = read_measured(folder, {"m"})
    assert set(found) == {"a" * 64}
    one = found["a" * 64]
    assert (one.load_s, one.where) == (7.25, "gpu0 33/33 layers")
    assert one.by_pool() == {"host": 3, "gpu0": 120}
    assert [p.name for p in folder.iterdir()] == [f"{'a' * 64}.json"]


def test_only_models_of_the_spec(tmp_path):
    """Measurements of models that the spec does not have are no facts of it."""
    keep(tmp_path, config("a" * 64, "other"), Verdict(parts=PARTS), 1.0)
    assert read_measured(tmp_path, {"m"}) == {}


def test_damaged_files_are_not_there(tmp_path):
    """Half a file, another schema, another's name: none is a fact, and none is an error."""
    one = Measured(model="m", digest="b" * 64, engine="", where="", parts=(), load_s=1.0)
    (tmp_path / "half.json").write_bytes(to_json(one)[:20])
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    (tmp_path / f"{'b' * 64}.json").write_bytes(to_json(one.replace(schema=2)))
    (tmp_path / f"{'c' * 64}.json").write_bytes(to_json(one))
    assert read_measured(tmp_path, {"m"}) == {}
    assert read_measured(tmp_path / "nowhere", {"m"}) == {}


def test_an_unwritable_folder_is_no_fault(tmp_path):
    """A measurement that can't be kept does no harm."""
    (tmp_path / "file").write_text("")
    keep(tmp_path / "file", config("a" * 64), Verdict(parts=PARTS), 1.0)


def test_old_files_go(tmp_path):
    """The folder is bounded."""
    for number in range(KEPT + 5):
        (tmp_path / f"{number:064}.json").write_text("{}")
    keep(tmp_path, config("a" * 64), Verdict(parts=PARTS), 1.0)
    assert len(list(tmp_path.iterdir())) == KEPT
    assert read_measured(tmp_path, {"m"})
