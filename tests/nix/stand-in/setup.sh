# The phases of a build that are attributes, in their order.
cd "$(mktemp -d)"
# PROGRAM WRAPPER --add-flags WORDS
makeWrapper() {
    mkdir -p "${2%/*}"
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$1" "$4" > "$2"
    chmod 755 "$2"
}
if [ -n "${buildCommand-}" ]; then
    eval "$buildCommand"
    exit
fi
# what nixpkgs' shell has, and nothing here needs
prependToVar() { :; }
pushd() { :; }
popd() { :; }
npm() { :; }
mkdir source
if [ -d "${src-}" ]; then
    cp -R "$src/." source
    chmod -R u+w source
fi
cd source
eval "${postPatch-}"
eval "${preConfigure-}" 2>/dev/null
eval "${installPhase-}"
