from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict import stack

LEVELS = np.array((0.5, 0.95))
START = np.tile((0.5, 0.5), (2, 1))


def _members(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A member that knows each call's centre, one that knows none; and lengths in tokens."""
    draw = np.random.default_rng(1)
    centre = draw.normal(5, 1, n)
    lengths = np.exp(centre + draw.normal(0, 0.2, n))
    knows = centre[:, None] + np.array((0.0, 0.33))
    blind = np.tile((5.0, 6.7), (n, 1))
    return np.array((knows, blind)), lengths


def test_the_member_that_knows_more_gets_the_weight() -> None:
    """After 2,000 outcomes nearly all of it, at each level; weights add up to 1."""
    members, lengths = _members(2000)
    weights = stack.fit(members, lengths, LEVELS, START)
    assert weights.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert (weights[:, 0] > 0.9).all()


def test_no_outcomes_leave_the_weights_at_their_start() -> None:
    """Nothing is learned of nothing."""
    members, lengths = _members(0)
    assert stack.fit(members, lengths, LEVELS, START) == pytest.approx(START)


def test_the_mixture_ascends_although_weights_differ_by_level() -> None:
    """A median of one member above the 95 % of the other is put in order."""
    members = np.array((((9.0, 9.5),), ((1.0, 2.0),)))
    weights = np.array(((1.0, 0.0), (0.0, 1.0)))
    assert stack.combine(members, weights).tolist() == [[2.0, 9.0]]
