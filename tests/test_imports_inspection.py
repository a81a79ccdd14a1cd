from __future__ import annotations

from math import exp
from statistics import NormalDist
from typing import Any

import pytest

from budget_proxy.store.imports.inspection import EXAMPLES, KINDS, Finding, Inspection
from budget_proxy.store.recorded import RecordedCall
from tests.makers import NOW


def call(**given: Any) -> RecordedCall:
    """A recorded call of 100 tokens."""
    return RecordedCall(**{"ts": NOW, "model": "m", "output_tokens": 100, **given})


def inspected(*calls: RecordedCall) -> dict[str, Finding]:
    """What is found in calls that stand in lines 1, 2 and so on."""
    inspection = Inspection(NOW, {"small": 4096}.get)
    for number, one in enumerate(calls, 1):
        assert inspection.fault(one) is None
        inspection.look(one, f"line {number}")
    return {found.kind: found for found in inspection.findings()}


@pytest.mark.parametrize(
    ("given", "kind", "why"),
    [
        ({"output_tokens": None}, "no-usage", "no output_tokens"),
        ({"output_tokens": 0}, "no-usage", "0 output tokens"),
        ({"output_tokens": 2_000_001}, "impossible", "where 2000000 are the most"),
        ({"output_tokens": 4097, "model": "small"}, "impossible", "where 4096 are the most"),
        ({"output_tokens": 8193, "model": "small", "n": 2}, "impossible", "8193"),
        ({"input_tokens": 10**20}, "impossible", "input_tokens beyond"),
        ({"max_tokens": 10**12}, "impossible", "max_tokens beyond"),
        ({"ts": NOW * 1000}, "malformed", "no time in Unix seconds"),
        ({"ts": -5.0}, "malformed", "no time in Unix seconds"),
        ({"finish_reason": "error"}, "no-call", "ended as error"),
        ({"finish_reason": "cancelled"}, "no-call", "ended as cancelled"),
    ],
)
def test_calls_that_cannot_be_taken(given: dict[str, Any], kind: str, why: str) -> None:
    """Each of its kind, with the number that is wrong."""
    fault = Inspection(NOW, {"small": 4096}.get).fault(call(**given))
    assert fault is not None
    assert fault[0] == kind
    assert why in fault[1]


@pytest.mark.parametrize(
    "given",
    [
        {"output_tokens": 2_000_000, "model": None},
        {"output_tokens": 4096, "model": "small"},
        {"output_tokens": 8192, "model": "small", "n": 2},
        {"reasoning_tokens": 500},
        {"exact": False},
    ],
)
def test_calls_that_can_be_taken(given: dict[str, Any]) -> None:
    """The most a model makes is for each choice; contradictions within are noted, not refused."""
    assert Inspection(NOW, {"small": 4096}.get).fault(call(**given)) is None


def test_parts_beyond_the_whole() -> None:
    """Both are told, with their numbers."""
    found = inspected(
        call(reasoning_tokens=101),
        call(cached_tokens=8, input_tokens=5),
        call(cached_tokens=8),
        call(reasoning_tokens=100),
    )
    assert found["contradiction"].rows == 2
    assert found["contradiction"].kept
    assert found["contradiction"].examples == [
        "line 1: 101 reasoning of 100 output tokens",
        "line 2: 8 cached of 5 input tokens",
    ]


def test_odd_times() -> None:
    """Ahead by more than a day, before 2020, and back within a session; not across sessions."""
    found = inspected(
        call(ts=NOW + 90_000), call(ts=NOW + 80_000), call(ts=1.5e9),
        call(ts=NOW, session="a"), call(ts=NOW - 30, session="b"), call(ts=NOW - 60, session="a"),
        call(ts=NOW, session="a"),
    )  # fmt: skip
    assert found["clock"].examples == [
        "line 1: in the future",
        "line 3: before 2020",
        "line 6: 60 s before the call above it in its session",
    ]


def test_outliers_are_told_by_their_group() -> None:
    """Six robust deviations in ln(tokens); what is usual in one group is odd in another."""
    spread = NormalDist(5, 0.4)
    lengths = [round(exp(spread.inv_cdf((number + 0.5) / 400))) for number in range(400)]
    calls = [call(output_tokens=length) for length in lengths]
    calls += [call(output_tokens=60_000, agent="writer") for _ in range(30)]
    assert "outlier" not in inspected(*calls)
    found = inspected(*calls, call(output_tokens=60_000), call(output_tokens=1))["outlier"]
    assert (found.rows, found.kept) == (2, True)
    assert [example.partition(":")[0] for example in found.examples] == ["line 431", "line 432"]
    assert "60000 tokens, where" in found.examples[0]


def test_few_calls_have_no_outliers() -> None:
    """Below twenty nothing can be said."""
    assert inspected(*[call()] * 18, call(output_tokens=100_000)) == {}
    assert "outlier" in inspected(*[call()] * 19, call(output_tokens=100_000))


def test_findings_are_counted_and_the_first_shown() -> None:
    """In the order of the kinds, whatever came first."""
    inspection = Inspection(NOW, lambda _: None)
    for number in range(9):
        inspection.note("known", f"line {number}")
        inspection.note("malformed", f"line {number}", "odd")
    malformed, known = inspection.findings()
    assert (malformed.kind, malformed.rows, malformed.kept) == ("malformed", 9, False)
    assert malformed.examples == [f"line {number}: odd" for number in range(EXAMPLES)]
    assert known.what == KINDS["known"][1]
    assert known.examples[0] == "line 0"


def test_of_rows_that_are_no_calls_one_of_each_sort_is_shown() -> None:
    """An export may begin with thousands of one sort."""
    inspection = Inspection(NOW, lambda _: None)
    for number in range(50):
        inspection.note("no-call", f"line {number}", "type SPAN" if number < 40 else "type EVENT")
    (found,) = inspection.findings()
    assert found.rows == 50
    assert found.examples == ["line 0: type SPAN", "line 40: type EVENT"]
