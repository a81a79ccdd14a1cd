"""Limits that are nearly used up become alerts, each once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from budget_proxy.analytics.following import Follower
from budget_proxy.analytics.gauges import Gauges
from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.store.memory import MemoryStore
from tests.makers import NOW, record

DAY = 86_400.0
HARD = Limit("output_tokens", 1_000, "day", (("agent", EACH),), created=NOW)


class Watched:
    """A history with a limit, whose gauges are looked at."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.refusing: list[Account] = []
        self.gauges = Gauges(self.store, Follower(self.store), lambda _: self.refusing)

    def use(self, tokens: int, agent: str = "coder", ts: float = NOW) -> None:
        """Write a row."""
        self.store.append([record(agent=agent, output_tokens=tokens, ts=ts)])

    def look(self, now: float = NOW) -> list[str]:
        """What changed."""
        return [notice.change for notice in self.gauges.look(now)]


@pytest.fixture
def watched() -> Watched:
    """One without any limit yet."""
    return Watched()


def test_a_limit_that_is_neared_is_told_once(watched: Watched) -> None:
    """From 80 % on; escalated at 95 %; nothing is said while nothing changes."""
    watched.store.save_limit(replace(HARD, name="team"))
    watched.use(790)
    assert watched.look() == []
    watched.use(20)
    assert [watched.look(), watched.look()] == [["raised"], []]
    (alert,) = watched.store.alerts()
    assert "The limit 1 (team, agent coder, output_tokens, day) is used to 81 %" in alert.text
    watched.use(150)
    assert [watched.look(), watched.look()] == [["escalated"], []]


def test_the_next_window_ends_the_alert(watched: Watched) -> None:
    """It begins with nothing used, whether there are calls in it or not."""
    watched.store.save_limit(HARD)
    watched.use(900)
    watched.use(900, agent="other")
    assert watched.look() == ["raised", "raised"]
    watched.use(10, ts=NOW + DAY)
    assert watched.look(NOW + DAY) == ["resolved", "resolved"]
    assert watched.look(NOW + DAY) == []


def test_a_limit_that_is_gone_ends_its_alert(watched: Watched) -> None:
    """So does a higher amount."""
    id_ = watched.store.save_limit(HARD)
    watched.use(900)
    watched.look()
    watched.store.save_limit(replace(HARD, id=id_, amount=10_000))
    assert watched.look() == ["resolved"]
    watched.store.save_limit(replace(HARD, id=id_))
    assert watched.look() == ["raised"]
    watched.store.remove_limit(id_)
    assert [watched.look(), watched.look()] == [["resolved"], []]


def test_a_soft_limit_that_is_passed_says_that_calls_go_on(watched: Watched) -> None:
    """It is an alert, and nothing is refused."""
    watched.store.save_limit(replace(HARD, action="alert", where=()))
    watched.use(1_500)
    assert watched.look() == ["raised"]
    (alert,) = watched.store.alerts()
    assert alert.severity == "critical"
    assert "150 %" in alert.text
    assert "soft: calls beyond it go on" in alert.text


def test_a_limit_that_refuses_is_told_once(watched: Watched) -> None:
    """Also where little of it is used: a call may need more than is left, or than there is."""
    account = Account(watched.store.save_limit(HARD), "coder", NOW - NOW % DAY)
    watched.use(100)
    watched.refusing = [account]
    assert [watched.look(), watched.look()] == [["raised"], []]
    (alert,) = watched.store.alerts()
    assert (alert.severity, "left are refused" in alert.text) == ("critical", True)
    watched.refusing = []
    assert watched.look() == ["resolved"]


def test_money_is_told_in_dollars(watched: Watched) -> None:
    """Not in what it is counted in."""
    watched.store.save_limit(Limit("usd", 2_000_000_000, "day", created=NOW))
    watched.store.append([record(charged=1_800_000_000)])
    watched.look()
    assert "(1.8 of 2)" in watched.store.alerts()[0].text


def test_one_process_leaves_another_ones_refusals_alone(watched: Watched) -> None:
    """It has refused nothing itself, and does not say that all is well; after an hour it does."""
    account = Account(watched.store.save_limit(HARD), "coder", NOW - NOW % DAY)
    watched.use(100)
    watched.refusing = [account]
    watched.look()
    other = Gauges(watched.store, Follower(watched.store), lambda _: ())
    assert other.look(NOW + 10) == []
    assert [notice.change for notice in other.look(NOW + 3_700)] == ["resolved"]
