"""Alerts on the recorded calls, replayed as traffic through the real predictor (slow)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from budget_proxy.analytics.scopes import covers, meet
from budget_proxy.types import CallRecord
from tests import replays

FILES = ("chat", "reasoning", "agent_steps", "coding_agent_steps")
LARGE = ("chat", "agent_steps", "coding_agent_steps")
"""Recordings in which a group has enough calls for a change to be found."""

SEED = 1
WITHIN = 200

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("replays")]


@cache
def _stationary(folder: Path, name: str) -> list[CallRecord]:
    calls = replays.recording(folder / f"{name}.jsonl.gz")
    return replays.forecast(replays.shuffled(calls, SEED))


def _check_one_alert(
    rows: list[CallRecord], start: int, hit: Callable[[CallRecord], bool], cause: str
) -> None:
    """Exactly one alert was raised: of the cause, on what was hit, within 200 of its calls."""
    found = replays.notices(rows)
    assert [notice.change for _, notice in found if notice.change != "escalated"] == ["raised"]
    place, last = found[0][0], found[-1][1].alert
    assert last.cause == cause, last
    hits = [row for row in rows[start:] if hit(row)]
    assert any(meet(last.scope, replays.group_of(row)) for row in hits)
    assert sum(hit(row) for row in rows[start : place + 1]) <= WITHIN, found


@pytest.mark.parametrize("name", FILES)
def test_shuffled_calls_raise_nothing(recorded: Path, name: str) -> None:
    """Nothing has changed, so nothing is told but which models have no price."""
    assert replays.notices(_stationary(recorded, name)) == []


@pytest.mark.parametrize("name", LARGE)
def test_a_group_that_doubles_is_one_alert(recorded: Path, name: str) -> None:
    """The largest group's answers are twice as long from the middle on."""
    calls = replays.shuffled(replays.recording(recorded / f"{name}.jsonl.gz"), SEED)
    group, start = replays.largest(calls), len(calls) // 2

    def hit(row: CallRecord) -> bool:
        return replays.group_of(row) == group

    rows = replays.forecast(replays.changed(calls, start, hit, replays.scaled(2.0), WITHIN))
    _check_one_alert(rows, start, hit, "longer")
    assert covers(replays.notices(rows)[-1][1].alert.scope, group)


@pytest.mark.parametrize("name", LARGE)
def test_caps_that_cut_a_tenth_of_a_group_are_one_alert(recorded: Path, name: str) -> None:
    """The largest group gets a cap at its 90th percentile from the middle on."""
    calls = replays.shuffled(replays.recording(recorded / f"{name}.jsonl.gz"), SEED)
    group, start = replays.largest(calls), len(calls) // 2

    def hit(row: CallRecord) -> bool:
        return replays.group_of(row) == group

    change = replays.capped(calls, group, 0.10)
    rows = replays.forecast(replays.changed(calls, start, hit, change, WITHIN))
    _check_one_alert(rows, start, hit, "truncation")


@pytest.mark.parametrize("name", LARGE)
def test_a_model_that_halves_overnight_is_one_alert(recorded: Path, name: str) -> None:
    """All answers of the largest group's model are half as long from the middle on."""
    calls = replays.shuffled(replays.recording(recorded / f"{name}.jsonl.gz"), SEED)
    model, start = replays.largest(calls)[2], len(calls) // 2

    def hit(row: CallRecord) -> bool:
        return row.model == model

    rows = replays.forecast(replays.changed(calls, start, hit, replays.scaled(0.5), WITHIN))
    _check_one_alert(rows, start, hit, "shorter")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("chat", "gpt-4-1106-preview"),
        ("chat", "o3-mini-2025-01-31"),
        ("reasoning", "claude-opus-4.1"),
        ("agent_steps", "google/gemini-3-pro-preview"),
    ],
)
def test_a_price_that_triples_is_one_alert(recorded: Path, name: str, model: str) -> None:
    """A model's calls cost three times as much from the middle on."""
    rows = list(_stationary(recorded, name))
    start = len(rows) // 2
    for place in range(start, len(rows)):
        row = rows[place]
        if row.model == model and row.cost is not None:
            rows[place] = replace(row, cost=3 * row.cost)
    _check_one_alert(rows, start, lambda row: row.model == model, "price")
