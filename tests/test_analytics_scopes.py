from __future__ import annotations

from collections.abc import Iterable

import pytest

from budget_proxy.analytics.scopes import ALL, Scope, blamed, covers, meet, shared

GROUP: Scope = ("a", "t", "m")
MODEL: Scope = (None, None, "m")
AGENT: Scope = ("a", None, None)


def steps(**totals: float) -> Iterable[tuple[Scope, float]]:
    """Ten calls each of groups that are named by agent, task type and model."""
    for name, total in totals.items():
        agent, task, model = name.split("_")
        for _ in range(10):
            yield (agent, task, model), total / 10


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        (ALL, GROUP, True), (MODEL, GROUP, True), (AGENT, GROUP, True), (GROUP, GROUP, True),
        (GROUP, MODEL, False), (MODEL, AGENT, False), (("b", None, None), GROUP, False),
    ],
)  # fmt: skip
def test_a_scope_covers_what_lies_within_it(wide: Scope, narrow: Scope, *, expected: bool) -> None:
    """``None`` stands for all."""
    assert covers(wide, narrow) is expected


def test_scopes_meet_where_a_call_may_be_in_both() -> None:
    """An agent and a model do; two agents do not."""
    assert meet(MODEL, AGENT)
    assert not meet(("b", None, "m"), GROUP)


def test_a_model_or_an_agent_is_what_two_parts_share() -> None:
    """A task type alone is no common cause."""
    assert shared(GROUP, ("b", "u", "m")) == MODEL
    assert shared(GROUP, ("a", "u", "n")) == AGENT
    assert shared(GROUP, ("a", "u", "m")) == ("a", None, "m")
    assert shared(GROUP, ("b", "t", "n")) is None


def test_one_group_is_named_where_the_others_show_the_contrary() -> None:
    """Also if the alarm was its model's."""
    found = steps(a_t_m=20.0, b_t_m=-8.0, c_t_n=-9.0)
    assert blamed(found, MODEL, MODEL, 3.0) == GROUP


def test_the_model_is_named_where_its_groups_show_the_same() -> None:
    """Also if the alarm was a group's; a group that shows little does not narrow it."""
    found = list(steps(a_t_m=9.0, b_t_m=8.0, c_t_m=-1.0, c_t_n=-9.0))
    assert blamed(found, GROUP, GROUP, 3.0) == MODEL
    assert blamed(found, MODEL, MODEL, 3.0) == MODEL


def test_an_agent_is_named_where_its_models_show_the_same() -> None:
    """And other agents do not."""
    found = steps(a_t_m=9.0, a_t_n=8.0, b_t_m=-9.0, b_t_n=-9.0)
    assert blamed(found, MODEL, MODEL, 3.0) == AGENT


def test_a_group_that_is_nearly_all_of_its_model_is_named_itself() -> None:
    """There is nobody else of whom the alarm could be."""
    assert blamed(steps(a_t_m=20.0), MODEL, MODEL, 3.0) == GROUP


def test_without_any_call_the_usual_scope_is_named() -> None:
    """Calls may have been let go."""
    assert blamed((), MODEL, MODEL, 3.0) == MODEL
