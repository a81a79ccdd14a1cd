from __future__ import annotations

import pytest

from budget_proxy.predict.pace import NUMBERS, Pace
from tests.cases import case


def test_the_quick_mean_follows_sooner_than_the_slow_one() -> None:
    """Ten calls that were all 1 longer: .65 of it by the quick mean, .26 by the slow one."""
    pace = Pace()
    for _ in range(10):
        pace.add(case(), 1.0)
    seen = dict(zip(NUMBERS, pace.look(case()), strict=True))
    assert seen["quick"] == pytest.approx(1 - 0.9**10)
    assert seen["side"] == pytest.approx(1 - 0.9**10)
    assert seen["slow"] == pytest.approx(1 - 0.97**10)
    assert seen["task quick"] == seen["quick"]  # a call without a task has its agent's


def test_other_agents_and_tasks_are_others() -> None:
    """What one agent's calls did says nothing of another's; a task has means of its own."""
    pace = Pace()
    pace.add(case(task="t"), 1.0)
    assert set(pace.look(case(agent="else"))) == {0.0}
    assert pace.look(case(task="u"))[4:] == (0.0,) * 4
    assert pace.look(case(task="t"))[4] == pytest.approx(0.1)


def test_the_groups_that_learned_last_are_kept() -> None:
    """Of two groups in a store for one, the older is forgotten."""
    pace = Pace(1)
    pace.add(case(agent="a"), 1.0)
    pace.add(case(agent="b"), 1.0)
    assert pace.look(case(agent="a"))[0] == 0.0
    assert pace.look(case(agent="b"))[0] > 0.0
