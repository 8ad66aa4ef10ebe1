"""Every provider of engines, by the word of the spec."""

from collections.abc import Mapping

from llmdecl.store.providers.nix import NIX
from llmdecl.store.providers.path import PATH
from llmdecl.store.providers.provider import Provider
from llmdecl.store.providers.pypi import PYPI
from llmdecl.store.providers.source import SOURCE_PROVIDER

PROVIDERS: Mapping[str, Provider] = {
    "nix": NIX,
    "path": PATH,
    "pypi": PYPI,
    "source": SOURCE_PROVIDER,
}
