"""What a client is bound to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput, StoreError
from budget_proxy.scope import budget
from budget_proxy.transport import binding
from budget_proxy.transport.binding import Binding, bind, default_engine
from budget_proxy.transport.exchange import Request
from budget_proxy.types import Override, Scope


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine without history."""
    with Engine.open("memory:") as engine:
        yield engine


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No engine of the process's yet, and one in memory if it is opened."""
    monkeypatch.setattr(binding, "_default", None)
    monkeypatch.setenv("BUDGET_PROXY_STORE", "memory:")
    yield
    if binding._default is not None:
        binding._default.close()


def made(bound: Binding) -> Request:
    """A request of a client that is bound so."""
    return bound.request(
        method="POST", host="h", path="/p", headers=[], content=b"", timeout=None
    )  # fmt: skip


def test_settings_become_scope_and_override(engine: Engine) -> None:
    """Names are checked like those of a call's own budget."""
    bound = bind(engine, {"agent": "a", "mode": "observe", "thinking": None, "effort": "auto"})
    assert bound == Binding(engine, Scope(agent="a"), Override(mode="observe", effort="auto"))


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("wrong", [{"mode": "strict"}, {"agent": ""}, {"thinking": "much"}])
def test_a_wrong_setting_is_told_before_anything_is_opened(wrong: dict[str, Any]) -> None:
    """The caller's mistake is an InvalidInput, and costs no engine."""
    with pytest.raises(InvalidInput, match="budget"):
        bind(None, wrong)
    assert binding._default is None


def test_what_is_not_given_stays_as_it_was(engine: Engine) -> None:
    """Binding anew changes what is given, and nothing else."""
    before = bind(engine, {"agent": "a", "mode": "guide"})
    after = bind(None, {"agent": "b"}, before)
    assert after == Binding(engine, Scope(agent="b"), Override(mode="guide"))


def test_a_request_takes_the_budget_around_it(engine: Engine) -> None:
    """``with budget(...)`` beats the client's own, and receives the reports."""
    bound = Binding(engine, Scope(agent="client", run="r"), Override(mode="observe"))
    assert made(bound).calls is None
    with budget(agent="call", cap=5) as under:
        request = made(bound)
    assert request.scope == Scope(agent="call", run="r")
    assert request.override == Override(mode="observe", cap=5, cap_stands=True)
    assert request.calls is under.calls


@pytest.mark.usefixtures("fresh")
def test_the_process_has_one_engine() -> None:
    """Whoever asks, from whichever thread, gets the same one, opened by the settings."""
    got: list[Engine] = []
    threads = [
        threading.Thread(target=lambda: got.append(default_engine())) for _ in range(4)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert {id(engine) for engine in got} == {id(bind(None, {}).engine)}
    assert got[0].store.url == "memory:"


@pytest.mark.usefixtures("fresh")
def test_an_engine_that_cannot_be_opened_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A history that is none is an error when the client is made; a mended one then opens."""
    broken = tmp_path / "history.db"
    broken.write_bytes(b"this is no database, whatever its name may say" * 100)
    monkeypatch.setenv("BUDGET_PROXY_STORE", f"sqlite:///{broken}")
    with pytest.raises(StoreError):
        bind(None, {})
    monkeypatch.setenv("BUDGET_PROXY_STORE", "memory:")
    assert bind(None, {}).engine.store.url == "memory:"
