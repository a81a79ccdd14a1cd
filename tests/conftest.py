"""What every test may rely on: no settings of the machine's, and a real model where asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import HealthCheck, settings

from budget_proxy.local import LocalModel

# A busy machine is slow, not wrong: time is no criterion of a test here.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the recorded calls lie; given by `make test-all`."""
    parser.addoption("--recorded-data", default=None, help="folder of the recorded calls")


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority, which signs nothing here: every client reads all that it trusts.

    The machine's hundred and more would take each of some thousand clients 40 ms.
    """
    file = tmp_path_factory.mktemp("authorities") / "trusted.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, keys or history of the machine's reach a test."""
    for name in list(os.environ):
        if name.startswith(("BUDGET_PROXY_", "OPENAI_", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    home = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(home))


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalModel]:
    """SmolLM2 on llama.cpp, answering all three dialects on loopback."""
    with LocalModel(slots=2) as model:
        yield model


@pytest.fixture
def recorded(pytestconfig: pytest.Config) -> Path:
    """The folder of the recorded calls; a test that needs it fails where it is missing."""
    given = pytestconfig.getoption("--recorded-data")
    folder = Path(given or "../shared/data")
    if not folder.is_dir():
        pytest.fail(f"no recorded calls in {folder}: set BUDGET_PROXY_DATA")
    return folder
