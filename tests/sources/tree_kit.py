"""Archives of tiny llama.cpp trees, and archives that nobody should unpack."""

import gzip
import io
import tarfile
import zipfile

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ARG = """
common_params_context common_params_parser_init(common_params & params, llama_example ex) {
    add_opt(common_arg({"-m", "--model"}, "FNAME", "model", h).set_env("LLAMA_ARG_MODEL"));
    add_opt(common_arg({"--host"}, "HOST", "host", h));
    add_opt(common_arg({"-c", "--ctx-size"}, "N", "size", h));
    return ctx_arg;
}
"""


OPTIONS = (
    "GGML_NATIVE", "GGML_CUDA", "GGML_BACKEND_DL", "GGML_CPU_ALL_VARIANTS", "GGML_LTO",
    "BUILD_SHARED_LIBS",
)  # fmt: skip


def tree(**more):
    """A tree's files by path."""
    return {
        "CMakeLists.txt": 'cmake_minimum_required(VERSION 3.14)\nproject("llama.cpp" C CXX)\n'
        + "".join(f'option({name} "x" OFF)\n' for name in OPTIONS),
        "common/arg.cpp": ARG,
        "scripts/run.sh": "#!/bin/sh\n",
        **more,
    }  # fmt: skip


def info(name, *, kind=tarfile.REGTYPE, mode=0o644, size=0, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname = kind, mode, size, target
    return member


def tar(files, top="llama.cpp-x/", *, commit=None, extra=(), compress=True, mtime=0):
    """A tar as `git archive` makes it; `extra` are `(TarInfo, bytes)`."""
    out = io.BytesIO()
    headers = {"comment": commit} if commit else {}
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as packed:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            member = info(f"{top}{name}", size=len(data), mode=0o755 if "run" in name else 0o644)
            member.mtime = mtime
            packed.addfile(member, io.BytesIO(data))
        for member, data in extra:
            packed.addfile(member, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=mtime) if compress else out.getvalue()


def zipped(files, top="llama.cpp-x/", *, commit=None, links=()):
    """A zip as GitHub makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.comment = (commit or "").encode()
        for name, text in files.items():
            entry = zipfile.ZipInfo(f"{top}{name}")
            kind = 0o120000 if name in links else 0o100000
            entry.external_attr = (kind | (0o755 if "run" in name else 0o644)) << 16
            packed.writestr(entry, text)
    return out.getvalue()
