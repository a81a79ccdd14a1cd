"""Faults are counted by stage, and logged once a minute without what callers sent."""

from __future__ import annotations

import logging

import pytest

from budget_proxy.errors import StoreError
from budget_proxy.faults import Faults


def test_faults_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A message that may quote a caller is not logged; a store's is."""
    faults = Faults()
    with caplog.at_level(logging.WARNING, "budget_proxy"):
        for _ in range(3):
            faults.note("plan", _raised("my secret prompt"))
        faults.note("store", StoreError("the disk is full"))
    assert dict(faults) == {"plan": 3, "store": 1}
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("plan failed; the call goes on without it: ValueError at test_faults")
    assert "secret" not in first
    assert "the disk is full" in second


def test_a_fault_of_limits_does_not_say_that_calls_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """Hard limits refuse what they cannot look at."""
    with caplog.at_level(logging.WARNING, "budget_proxy"):
        Faults().note("limits", StoreError("the disk is full"))
    (said,) = (record.getMessage() for record in caplog.records)
    assert "goes on" not in said
    assert said.endswith("are refused until it works again: the disk is full")


def _raised(message: str) -> Exception:
    """An error that was raised, with a place."""
    with pytest.raises(ValueError, match=message) as caught:
        raise ValueError(message)
    return caught.value
