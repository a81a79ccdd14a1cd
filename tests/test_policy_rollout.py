from __future__ import annotations

import pytest

from budget_proxy.policy.rollout import arm_of, draw, keyed_hash, pseudonym
from tests.makers import SALT


def test_draws_are_the_same_everywhere_and_differ_by_salt_purpose_and_identifier() -> None:
    """Instances that share a salt agree without talking."""
    first = draw(SALT, "arm", "s1")
    assert first == draw(SALT, "arm", "s1")
    others = {draw(SALT[::-1], "arm", "s1"), draw(SALT, "explore", "s1"), draw(SALT, "arm", "s2")}
    assert first not in others
    assert len(others) == 3


def test_the_holdout_takes_its_share_of_sessions() -> None:
    """10 % of 10,000 sessions, within four standard errors (sd = sqrt(.09/10000) = .003)."""
    held = sum(arm_of(SALT, f"s{i}", 0.10)[0] == "holdout" for i in range(10_000))
    assert held / 10_000 == pytest.approx(0.10, abs=0.012)


@pytest.mark.parametrize(("share", "arm"), [(0.0, "treatment"), (1.0, "holdout")])
def test_a_holdout_of_nothing_or_all_is_exactly_that(share: float, arm: str) -> None:
    """The edges are not left to chance, and their propensity is 1."""
    assert {arm_of(SALT, f"s{i}", share) for i in range(200)} == {(arm, 1.0)}


def test_the_propensity_is_that_of_the_arm_drawn() -> None:
    """Logged so that analyses can weigh by it."""
    drawn = {arm_of(SALT, f"s{i}", 0.25) for i in range(200)}
    assert drawn == {("holdout", 0.25), ("treatment", 0.75)}


def test_parts_of_a_hash_cannot_run_together() -> None:
    """("ab", "c") and ("a", "bc") are different sessions."""
    assert keyed_hash(SALT, "x", b"ab", b"c") != keyed_hash(SALT, "x", b"a", b"bc")


def test_a_pseudonym_shows_nothing_of_the_text_and_bears_lone_surrogates() -> None:
    """User ids come from anywhere."""
    name = pseudonym(SALT, "user", "alice\ud800")
    assert "alice" not in name
    assert len(name) == 32
