#!/bin/sh
# llama.cpp b10434 for cuda sm_86 sm_120a; inputs f0cc86d0c0d87f8f191e8648f82f545a1a51d4e7b9c5401505e44957922dd0a5
#
# build.sh [-j JOBS] [-w WORK] ARCHIVE|FOLDER|URL OUTPUT
#
# Builds from the archive standin.tar.gz
# (1 bytes, SHA-256 below), from a folder that holds its unpacked tree, or from a URL.
# Needs recipe.cmake beside it, cmake, ninja or make, and a compiler. OUTPUT/bin can be moved
# anywhere. WORK (default: OUTPUT.work) is emptied when all is done. With `-w /llmdecl` even CUDA's
# objects are the same everywhere.
set -eu
umask 022
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=315532800 GIT_DIR=/llmdecl/src/no-repository
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS CUDAFLAGS HIPFLAGS DESTDIR CMAKE_GENERATOR || :
unset NVCC_APPEND_FLAGS NVCC_PREPEND_FLAGS || :

sha256=1111111111111111111111111111111111111111111111111111111111111111
root=standin
jobs=
work=
while getopts j:w: option; do
    case $option in
    j) jobs=$OPTARG ;;
    w) work=$OPTARG ;;
    *) exit 64 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -ne 2 ]; then
    echo "usage: $0 [-j JOBS] [-w WORK] ARCHIVE|FOLDER|URL OUTPUT" >&2
    exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
from=$1
mkdir -p "$2" "${work:=$2.work}"
output=$(cd "$2" && pwd)
work=$(cd "$work" && pwd)
rm -rf "$work/src" "$work/build"

case $from in
http://* | https://*)
    curl --fail --location --output "$work/archive" "$from"
    from=$work/archive
    ;;
esac
if [ -d "$from" ]; then
    mkdir "$work/src"
    cp -R "$from/." "$work/src"
else
    echo "$sha256  $from" | sha256sum -c - >&2
    mkdir "$work/unpacked"
    tar -xf "$from" -C "$work/unpacked"
    mv "$work/unpacked/$root" "$work/src"
    rm -rf "$work/unpacked"
fi
rm -rf "$work/src/.git"

generator="Unix Makefiles"
if command -v ninja >/dev/null; then generator=Ninja; fi
cmake -G "$generator" -C "$here/recipe.cmake" -S "$work/src" -B "$work/build"

targets=$(cmake --build "$work/build" --target help)
# true when the tree has the target of this name
has() {
    printf '%s\n' "$targets" | grep -Eq "^(\.\.\. )?$1(:.*)?\$"
}
found=
for tool in llama-server,server llama-bench llama-quantize,quantize llama-perplexity,perplexity llama-cli,main llama-gguf-split,gguf-split ggml-rpc-server,rpc-server llama-fit-params; do
    for name in $(echo "$tool" | tr , ' '); do
        if has "$name"; then
            found="$found $name"
            continue 2
        fi
    done
    echo "this version has no ${tool%%,*}" >&2
done
# shellcheck disable=SC2086  # names of targets have no spaces
cmake --build "$work/build" --parallel ${jobs:+"$jobs"} --target $found

rm -rf "${output:?}/bin"
mkdir -p "$output/bin"
for name in $found; do
    cp "$work/build/bin/$name" "$output/bin/"
    strip --strip-all "$output/bin/$name"
    chmod 755 "$output/bin/$name"
done
for library in "$work"/build/bin/*.so "$work"/build/bin/*.so.* "$work"/build/bin/*.dylib; do
    if [ -L "$library" ]; then
        cp -P "$library" "$output/bin/"
    elif [ -f "$library" ]; then
        cp "$library" "$output/bin/"
        strip --strip-unneeded "$output/bin/${library##*/}"
        chmod 755 "$output/bin/${library##*/}"
    fi
done
cp "$work/src/LICENSE" "$output/" 2>/dev/null || :
rm -rf "$work/src" "$work/build" "$work/archive"
rmdir "$work" 2>/dev/null || :
echo "built in $output/bin"
