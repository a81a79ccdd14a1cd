from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.suggestions.base import Setting
from budget_proxy.analytics.suggestions.effort import untried
from budget_proxy.analytics.suggestions.guidance import unpaid
from budget_proxy.policy.base import AgentPolicy
from budget_proxy.types import CallRecord
from tests.scenes import calls, scene


def arms(treated: int, held: int, count: int = 100, **given: Any) -> list[CallRecord]:
    """Both arms with these lengths, give or take 10; notes of 40 tokens on the treated."""
    facts: dict[str, Any] = {"model": "gpt-4.1", **given}
    guided = calls(
        count, output_tokens=lambda i: treated + 20 * (i % 2) - 10, guidance="g",
        guidance_tokens=40, **facts,
    )  # fmt: skip
    left = calls(count, output_tokens=lambda i: held + 20 * (i % 2) - 10, arm="holdout", **facts)
    return [row for both in zip(guided, left, strict=True) for row in both]


def test_notes_that_lengthen_answers_do_not_pay() -> None:
    """By 50 tokens at $8 a million, and 40 tokens of notes at $.50: $.00042 a call, 100 calls."""
    (found,) = unpaid(scene(*arms(250, 200)))
    assert found.setting == Setting(("agents", "coder", "guidance"), "off")
    assert found.tokens == 4000
    assert found.money is not None
    low, high = found.money
    assert (low + high) / 2 == pytest.approx(100 * (50 * 8e-6 + 40 * 0.5e-6))
    # Errors of 10 / sqrt(99) in each arm, root of both squares, times 1.96.
    half = 1.959964 * 10 * (2 / 99) ** 0.5
    assert (high - low) / 2 == pytest.approx(100 * half * 8e-6)
    assert (found.n, found.evidence["saved_a_call"]) == (100, -50)
    assert "holdout" in found.worth


def test_notes_that_save_nothing_do_not_pay_once_that_is_sure() -> None:
    """A note costs $.00002 a call; what it may save at most has to be less.

    With 100 calls of each arm that is 1.96 * 10 * sqrt(2 / 99) = 2.8 tokens or $.000022, with the
    newest 400 of both and of the holdout 1.96 * 10 * sqrt(1 / 199 + 1 / 399) = 1.7 or $.000014.
    """
    assert not list(unpaid(scene(*arms(200, 200))))
    (found,) = unpaid(scene(*arms(200, 200, 3000)))
    assert found.money is not None
    assert found.money[0] > 0


def test_without_prices_only_longer_answers_speak() -> None:
    """Money is unknown, and said so."""
    (found,) = unpaid(scene(*arms(250, 200, model="own-model")))
    assert found.money is None
    assert "unknown" in found.worth
    assert not list(unpaid(scene(*arms(200, 200, model="own-model"))))


@pytest.mark.parametrize(
    ("rows", "policy"),
    [
        (arms(150, 200), {}),
        (arms(250, 200, 49), {}),
        (arms(250, 200, session="one"), {}),
        (arms(250, 200, overridden=True), {}),
        (arms(250, 200, mode="observe"), {}),
        (arms(250, 200), {"guidance": "off"}),
        (arms(250, 200), {"effort": "auto"}),
        (arms(250, 200), {"agents": {"coder": AgentPolicy(guidance="off")}}),
        (arms(250, 200), {"agents": {"coder": AgentPolicy(thinking="auto")}}),
    ],
)
def test_notes_stay_where_nothing_shows_that_they_do_not_pay(
    rows: list[CallRecord], policy: dict[str, Any]
) -> None:
    """They save, evidence is thin, they are off already, or the arms differ by more than them."""
    assert not list(unpaid(scene(*rows, **policy)))


def test_kinds_of_work_are_compared_with_themselves() -> None:
    """Short reviews that only the holdout has do not make notes look bad."""
    rows = [
        *arms(200, 260),
        *calls(300, output_tokens=10, arm="holdout", task_type="review", model="gpt-4.1"),
    ]
    assert not list(unpaid(scene(*rows)))


LENGTHS = st.lists(st.integers(1, 200), min_size=60, max_size=60)


@given(LENGTHS, LENGTHS, LENGTHS, LENGTHS)
def test_what_the_holdout_says_agrees_with_the_rows(
    one: list[int], two: list[int], three: list[int], four: list[int]
) -> None:
    """The difference of means by kind of work, weighed by how many were guided."""
    facts: dict[str, Any] = {"model": "gpt-4.1"}
    guided: dict[str, Any] = {"guidance": "g", "guidance_tokens": 40, **facts}
    rows = [
        *calls(60, output_tokens=lambda i: 200 + one[i], **guided),
        *calls(60, output_tokens=lambda i: two[i], arm="holdout", **facts),
        *calls(50, output_tokens=lambda i: 100 + three[i], task_type="review", **guided),
        *calls(60, output_tokens=lambda i: four[i], arm="holdout", task_type="review", **facts),
    ]
    for found in unpaid(scene(*rows)):
        first = fmean(two) - fmean(200 + n for n in one)
        second = fmean(four) - fmean(100 + n for n in three[:50])
        saved = (60 * first + 50 * second) / 110
        assert found.evidence["saved_a_call"] == pytest.approx(saved)
        assert found.money is not None
        lost = -110 * (saved * 8e-6 - 40 * 0.5e-6)
        assert sum(found.money) / 2 == pytest.approx(lost)


def test_effort_is_suggested_where_most_of_the_output_is_reasoning() -> None:
    """No saving is claimed; what is at stake is told: 100 x 800 tokens at $15 a million."""
    rows = calls(
        100, model="gpt-5.4", output_tokens=1000, reasoning_tokens=lambda i: 790 + 20 * (i % 2)
    )
    (found,) = untried(scene(*rows))
    assert found.setting == Setting(("agents", "coder", "effort"), "auto")
    assert (found.money, found.tokens) == (None, None)
    assert found.evidence["at_stake"] == pytest.approx(100 * 800 * 15e-6)
    assert "holdout will tell" in found.worth
    assert "holdout" not in found.action
    (blind,) = untried(scene(*rows, holdout=0.0))
    assert "holdout = 0.1" in blind.action


def test_a_model_without_efforts_may_have_its_thinking_handed_over() -> None:
    """Claude Haiku 4.5 has a thinking budget and no effort."""
    rows = calls(
        100, api="anthropic.messages", model="claude-haiku-4-5", output_tokens=1000,
        reasoning_tokens=800,
    )  # fmt: skip
    (found,) = untried(scene(*rows))
    assert found.setting == Setting(("agents", "coder", "thinking"), "auto")
    assert not list(untried(scene(*rows, thinking="auto")))


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({"reasoning_tokens": 500}, {}),
        ({"reasoning_tokens": lambda i: 1000 if i < 52 else 0}, {}),
        ({"reasoning_tokens": 800}, {"effort": "auto"}),
        ({"reasoning_tokens": 800}, {"agents": {"coder": AgentPolicy(effort="auto")}}),
        ({"reasoning_tokens": 800, "model": "gpt-4.1"}, {}),
        ({"reasoning_tokens": None}, {}),
    ],
)
def test_effort_is_not_suggested_otherwise(given: dict[str, Any], policy: dict[str, Any]) -> None:
    """Half or hardly more, handed over already, no effort to choose, or nothing reported."""
    rows = calls(100, **{"model": "gpt-5.4", "output_tokens": 1000, **given})
    assert not list(untried(scene(*rows, **policy)))
