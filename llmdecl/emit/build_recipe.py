"""How each engine of a plan is built from source, for people without llmdecl: a CMake cache, a
script around it, and a Containerfile around that. `llmdecl build` runs the same cache.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from string import Template

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.emit.dialects import cmake
from llmdecl.engines.llama_cpp.amd_architectures import PACKAGED_TO
from llmdecl.engines.llama_cpp.architectures import cuda_word
from llmdecl.engines.llama_cpp.nvidia_architectures import NVIDIA
from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.engines.llama_cpp.reproducible import ENVIRONMENT, cmake_options, flags
from llmdecl.engines.llama_cpp.tools import TOOLS
from llmdecl.plan.model import Plan

FOLDER = "engines"
"""Artefacts of engines lie below it: nothing that runs reads them."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "cpu": ("ca-certificates", "cmake", "g++", "ninja-build", "xz-utils"),
    "vulkan": ("glslc", "libvulkan-dev", "spirv-headers"),
}
"""Debian packages by backend, beside what its image brings."""

IMAGES: Mapping[str, tuple[str, str]] = {
    "cuda": (
        "docker.io/nvidia/cuda:{}-devel-ubuntu24.04",
        "docker.io/nvidia/cuda:{}-runtime-ubuntu24.04",
    ),
    "hip": ("docker.io/rocm/dev-ubuntu-24.04:{}-complete",) * 2,
    "sycl": ("docker.io/intel/oneapi-basekit:{}-0-devel-ubuntu24.04",) * 2,
}
"""Images with a backend's toolkit: to build in, and to run in."""

TOOLKITS: Mapping[str, tuple[str, ...]] = {
    "cuda": ("13.0.1", "12.9.1"),
    "hip": ("7.1.1", "6.3.4"),
    "sycl": ("2025.2.2",),
}
"""Their releases: the first is for all but devices that only the last one still has code for."""

BASE = "docker.io/library/debian:12"


def emit(plan: Plan) -> ArtefactSet:
    """`recipe.cmake`, `build.sh` and `Containerfile` below `engines/NAME/`."""
    return tuple(
        Artefact(path=f"{FOLDER}/{engine.name}/{name}", text=text)
        for engine in plan.engines
        if engine.recipe is not None
        for name, text in sorted(texts(engine.recipe).items())
    )


def texts(recipe: BuildRecipe) -> Mapping[str, str]:
    """Its files by name."""
    files = {"build.sh": build_script(recipe), "recipe.cmake": cmake_cache(recipe)}
    if "metal" not in recipe.backends:  # no container has Apple's compiler
        files["Containerfile"] = containerfile(recipe)
    return files


def refused(recipe: BuildRecipe) -> Iterator[tuple[str, str]]:
    """Options that no CMake cache can carry, and why."""
    for name, value in recipe.options.items():
        if cmake.refused_name(name):
            yield name, "is no name of a CMake option"
        elif any(ord(each) < 32 or ord(each) == 127 for each in value):
            yield name, "has a control character in its value"


def what(recipe: BuildRecipe) -> str:
    """The engine in a line."""
    words = [*(recipe.backends or ("cpu",)), *recipe.architectures]
    return f"llama.cpp {recipe.version} for {' '.join(words)}"


def cmake_cache(recipe: BuildRecipe) -> str:
    """For `cmake -C`. CMake puts its own folders where the flags name them."""
    lines = [
        cmake.comment(f"{what(recipe)}; inputs {recipe.input_hash}"),
        cmake.comment("cmake -C recipe.cmake -S SOURCE -B BUILD"),
        *(cmake.comment(f"locked with {tool}") for tool in recipe.toolchain),
        "cmake_policy(VERSION 3.14)",
        *(cmake.entry(name, value) for name, value in cmake_options(recipe).items()),
        "",
        cmake.comment("the folders of this build are not compiled in"),
    ]
    marks = ("{source}", "{build}")
    for name, value in flags(recipe, *marks).items():
        quoted = cmake.quote(value)
        for mark, variable in zip(marks, ("CMAKE_SOURCE_DIR", "CMAKE_BINARY_DIR"), strict=True):
            quoted = quoted.replace(mark, f"${{{variable}}}")
        lines.append(f'set({name} {quoted} CACHE STRING "")')
    return "\n".join(lines) + "\n"


SCRIPT = Template(r"""#!/bin/sh
# $what; inputs $input_hash
#
# build.sh [-j JOBS] [-w WORK] ARCHIVE|FOLDER|URL OUTPUT
#
# Builds from the archive $file_name
# ($size bytes, SHA-256 below), from a folder that holds its unpacked tree, or from a URL.
# Needs recipe.cmake beside it, cmake, ninja or make, and a compiler. OUTPUT/bin can be moved
# anywhere. WORK (default: OUTPUT.work) is emptied when all is done. With `-w /llmdecl` even CUDA's
# objects are the same everywhere.
set -eu
umask 022
export $environment
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS CUDAFLAGS HIPFLAGS DESTDIR CMAKE_GENERATOR || :
unset NVCC_APPEND_FLAGS NVCC_PREPEND_FLAGS || :

sha256=$sha256
root=$root
jobs=
work=
while getopts j:w: option; do
    case $$option in
    j) jobs=$$OPTARG ;;
    w) work=$$OPTARG ;;
    *) exit 64 ;;
    esac
done
shift $$((OPTIND - 1))
if [ $$# -ne 2 ]; then
    echo "usage: $$0 [-j JOBS] [-w WORK] ARCHIVE|FOLDER|URL OUTPUT" >&2
    exit 64
fi
here=$$(cd "$$(dirname "$$0")" && pwd)
from=$$1
mkdir -p "$$2" "$${work:=$$2.work}"
output=$$(cd "$$2" && pwd)
work=$$(cd "$$work" && pwd)
rm -rf "$$work/src" "$$work/build"

case $$from in
http://* | https://*)
    curl --fail --location --output "$$work/archive" "$$from"
    from=$$work/archive
    ;;
esac
if [ -d "$$from" ]; then
    mkdir "$$work/src"
    cp -R "$$from/." "$$work/src"
else
    echo "$$sha256  $$from" | sha256sum -c - >&2
    mkdir "$$work/unpacked"
    tar -xf "$$from" -C "$$work/unpacked"
    mv "$$work/unpacked/$$root" "$$work/src"
    rm -rf "$$work/unpacked"
fi
rm -rf "$$work/src/.git"

generator="Unix Makefiles"
if command -v ninja >/dev/null; then generator=Ninja; fi
cmake -G "$$generator" -C "$$here/recipe.cmake" -S "$$work/src" -B "$$work/build"

targets=$$(cmake --build "$$work/build" --target help)
# true when the tree has the target of this name
has() {
    printf '%s\n' "$$targets" | grep -Eq "^(\.\.\. )?$$1(:.*)?\$$"
}
found=
for tool in $tools; do
    for name in $$(echo "$$tool" | tr , ' '); do
        if has "$$name"; then
            found="$$found $$name"
            continue 2
        fi
    done
    echo "this version has no $${tool%%,*}" >&2
done
# shellcheck disable=SC2086  # names of targets have no spaces
cmake --build "$$work/build" --parallel $${jobs:+"$$jobs"} --target $$found

rm -rf "$${output:?}/bin"
mkdir -p "$$output/bin"
for name in $$found; do
    cp "$$work/build/bin/$$name" "$$output/bin/"
    strip --strip-all "$$output/bin/$$name"
    chmod 755 "$$output/bin/$$name"
done
for library in "$$work"/build/bin/*.so "$$work"/build/bin/*.so.* "$$work"/build/bin/*.dylib; do
    if [ -L "$$library" ]; then
        cp -P "$$library" "$$output/bin/"
    elif [ -f "$$library" ]; then
        cp "$$library" "$$output/bin/"
        strip --strip-unneeded "$$output/bin/$${library##*/}"
        chmod 755 "$$output/bin/$${library##*/}"
    fi
done
cp "$$work/src/LICENSE" "$$output/" 2>/dev/null || :
rm -rf "$$work/src" "$$work/build" "$$work/archive"
rmdir "$$work" 2>/dev/null || :
echo "built in $$output/bin"
""")


def build_script(recipe: BuildRecipe) -> str:
    """A POSIX shell script around the cache."""
    archive = recipe.archive
    return SCRIPT.substitute(
        what=what(recipe),
        input_hash=recipe.input_hash,
        file_name=" ".join(archive.file_name.split()),
        size=archive.size_bytes,
        environment=" ".join(f"{name}={value}" for name, value in ENVIRONMENT.items()),
        sha256=archive.sha256,
        root=shlex.quote(archive.root or "."),
        tools=" ".join(",".join(names) for names in TOOLS.values()),
    )


def _images(recipe: BuildRecipe) -> tuple[str, str]:
    """By the first backend with a toolkit, in a release that compiles for every architecture."""
    backend = next((each for each in recipe.backends if each in IMAGES), None)
    if backend is None:
        return BASE, BASE
    cuda = [one for word in recipe.architectures if (one := cuda_word(word))]
    old = any(NVIDIA[one.base].last for one in cuda)
    old = old or any(word.partition(":")[0] in PACKAGED_TO for word in recipe.architectures)
    release = TOOLKITS[backend][-1 if old else 0]
    build, run = IMAGES[backend]
    return build.format(release), run.format(release)


CONTAINER = Template(r"""# $what; inputs $input_hash
#
# Put $file_name beside this file, then:
#   podman build -t llama.cpp -f Containerfile .
# Tags of images move. `--build-arg BUILD_IMAGE=NAME@sha256:...` pins one; for other devices than
# cards (Jetson) both have to be the maker's own.
ARG BUILD_IMAGE=$build_image
ARG RUN_IMAGE=$run_image

FROM $${BUILD_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends $packages
COPY recipe.cmake build.sh /recipe/
COPY $copied
RUN sh /recipe/build.sh -w /llmdecl /recipe/archive /opt/llama.cpp

FROM $${RUN_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends $libraries \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/llama.cpp /opt/llama.cpp
ENTRYPOINT ["/opt/llama.cpp/bin/$server"]
""")


def containerfile(recipe: BuildRecipe) -> str:
    """The same at `/llmdecl`, which a container may have; images can be replaced by arguments."""
    images = _images(recipe)
    packages = [*PACKAGES["cpu"]]
    for backend in recipe.backends:
        packages += PACKAGES.get(backend, ())
    libraries = ["libgomp1", *(["libvulkan1"] if "vulkan" in recipe.backends else [])]
    name = recipe.archive.file_name
    return CONTAINER.substitute(
        what=what(recipe),
        input_hash=recipe.input_hash,
        file_name=" ".join(name.split()),
        build_image=images[0],
        run_image=images[1],
        packages=" ".join(sorted(packages)),
        copied=json.dumps([name.replace("$", "\\$"), "/recipe/archive"]),
        libraries=" ".join(libraries),
        server=TOOLS["llama-server"][0],
    )
