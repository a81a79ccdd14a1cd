"""The fail-open guard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import BudgetExceeded
from budget_proxy.transport.guard import fail_open, noting


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine without history."""
    with Engine.open("memory:", holdout=0.0) as engine:
        yield engine


def test_a_fault_is_swallowed_counted_and_logged(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Any exception inside ends the block, is counted under its stage and logged once.

    Its message is not logged: it may quote what a caller sent.
    """
    for _ in range(2):
        with fail_open(engine, "plan"):
            raise ZeroDivisionError("odd numbers")
    assert engine.faults == {"plan": 2}
    (message,) = [record.getMessage() for record in caplog.records]
    start = "plan failed; the call goes on without it: ZeroDivisionError at test_transport_guard.py"
    assert message.startswith(start)
    assert "odd numbers" not in message


@pytest.mark.parametrize("error", [BudgetExceeded("over"), KeyboardInterrupt(), GeneratorExit()])
def test_refusals_and_interrupts_pass(engine: Engine, error: BaseException) -> None:
    """A limit's refusal is meant, and who stops the program or the call is not to be stopped."""
    with pytest.raises(type(error)), fail_open(engine, "plan"):
        raise error
    assert not engine.faults


def test_without_a_fault_nothing_is_counted(engine: Engine) -> None:
    """A block that ends well leaves no trace."""
    with fail_open(engine, "plan"):
        done = True
    assert done
    assert not engine.faults


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), BudgetExceeded("over")])
def test_what_another_call_raises_is_noted(error: Exception) -> None:
    """Any error, as the very object, in place of being raised."""
    noted: list[Exception] = []
    with noting(noted.append):
        raise error
    assert noted == [error]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_interrupts_are_not_noted(error: BaseException) -> None:
    """Who stops the program or the call is not to be stopped."""
    noted: list[Exception] = []
    with pytest.raises(type(error)), noting(noted.append):
        raise error
    assert not noted
