# The phases of a build that are attributes, in their order.
cd "$(mktemp -d)"
if [ -n "${buildCommand-}" ]; then
    eval "$buildCommand"
    exit
fi
if [ -n "${src-}" ]; then
    cp -R "$src" source
    chmod -R u+w source
    cd source
fi
eval "${postPatch-}"
eval "${preConfigure-}"
eval "${installPhase-}"
