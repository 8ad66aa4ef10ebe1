import pytest

from tests.nix.nix import Nix


@pytest.fixture(scope="session")
def nix(nix_tools, tmp_path_factory) -> Nix:
    """Nix with a store of its own."""
    return Nix(tmp_path_factory.mktemp("nix"), nix_tools)
