from __future__ import annotations

from typing import Any

from budget_proxy.policy.evidence import Evidence
from tests.makers import record

GROUP = ("reviewer", "review", "gpt-5.4")


def _learned(count: int, needed: int = 20, **given: Any) -> Evidence:
    evidence = Evidence(needed)
    for _ in range(count):
        evidence.learn(record(**given))
    return evidence


def test_nineteen_outcomes_are_not_enough_and_twenty_are() -> None:
    """The gate opens with the twentieth, for the finest group."""
    assert not _learned(19).gate(*GROUP).open
    gate = _learned(20).gate(*GROUP)
    assert gate.open
    assert gate.group == GROUP
    assert gate.support == 20


def test_the_parent_group_serves_where_the_finest_has_too_little() -> None:
    """19 reviews and 1 bug fix: (agent, model) has 20."""
    evidence = _learned(19)
    evidence.learn(record(task_type="bug-fix"))
    assert evidence.gate(*GROUP).group == ("reviewer", "gpt-5.4")


def test_another_agent_or_model_is_no_evidence() -> None:
    """History speaks only for whom it comes from."""
    evidence = _learned(30)
    assert not evidence.gate("other", "review", "gpt-5.4").open
    assert not evidence.gate("reviewer", "review", "other").open


def test_an_answer_cut_by_the_callers_cap_counts_only_after_caps_were_widened() -> None:
    """A censored length alone does not say how long answers are."""
    cut: dict[str, Any] = {"truncated": True, "finish_reason": "length"}
    assert not _learned(30, **cut).gate(*GROUP).open
    evidence = _learned(1, **cut, cut_by_us=True)
    for _ in range(20):
        evidence.learn(record(**cut))
    assert evidence.gate(*GROUP).open


def test_a_truncation_by_our_cap_doubles_at_once_and_eases_slowly() -> None:
    """x2, then a tenth back an answer: 2 x .9 = 1.8; never above 8, never below 1."""
    ours = record(truncated=True, cut_by_us=True, finish_reason="length")
    evidence = Evidence(1)
    evidence.learn(ours)
    assert evidence.gate(*GROUP).widening == 2.0
    evidence.learn(record())
    assert evidence.gate(*GROUP).widening == 1.8
    for _ in range(10):
        evidence.learn(ours)
    assert evidence.gate(*GROUP).widening == 8.0
    for _ in range(50):
        evidence.learn(record())
    assert evidence.gate(*GROUP).widening == 1.0


def test_a_truncation_by_the_callers_own_cap_widens_nothing() -> None:
    """The caller is right."""
    evidence = Evidence(1)
    evidence.learn(record(truncated=True, cap=150, finish_reason="length"))
    assert evidence.gate(*GROUP).widening == 1.0


def test_reasoning_q95_is_the_95th_of_the_last_100() -> None:
    """1..100 after older 1,000s have fallen out: the 95th smallest is 95."""
    evidence = Evidence(1)
    for tokens in [1000] * 50 + list(range(1, 101)):
        evidence.learn(record(reasoning_tokens=tokens))
    assert evidence.reasoning_q95(*GROUP) == 95
    assert evidence.reasoning_q95("nobody", "review", "gpt-5.4") == 0
