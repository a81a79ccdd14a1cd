from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from budget_proxy.analytics import following
from budget_proxy.analytics.cases import Notice
from budget_proxy.analytics.following import Follower
from budget_proxy.errors import StoreError
from budget_proxy.store.alerts import Progress
from budget_proxy.store.base import Store
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
from tests.makers import NOW
from tests.test_store_contract import OPENERS
from tests.watched import GROUP, calls, cut, numbered


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def traffic() -> list[CallRecord]:
    """Calls whose answers become twice as long, and then are cut."""
    rows = numbered(
        calls(700),
        calls(200, seed=1, factor=2.0),
        cut(calls(300, seed=2, groups=[("b", "t", "n")]), 0.2),
    )
    return [replace(row, id=None) for row in rows]


def test_a_history_is_caught_up_with_once(store: Store) -> None:
    """The first look raises what is to be raised, the second finds nothing new."""
    store.append(traffic())
    first = Follower(store).catch_up(NOW)
    assert (first.rows, first.skipped, first.waiting) == (1_200, 0, 0)
    raised = [n.alert.cause for n in first.notices if n.change == "raised"]
    assert raised == ["longer", "truncation"]
    assert Follower(store).catch_up(NOW).notices == ()
    assert [(one.cause, one.agent) for one in store.alerts()] == [
        ("longer", GROUP[0]), ("truncation", "b"),
    ]  # fmt: skip


def test_followers_that_come_and_go_find_what_one_finds(store: Store, tmp_path: Path) -> None:
    """A new process after every few rows ends with the same alerts, row by row the same."""
    rows = traffic()
    whole = SQLiteStore(tmp_path / "whole.db")
    whole.migrate()
    whole.append(rows)
    Follower(whole).catch_up(NOW)
    for start in range(0, len(rows), 130):
        store.append(rows[start : start + 130])
        Follower(store).catch_up(NOW)
    assert store.alerts(every=True) == whole.alerts(every=True)
    assert dict(store.watched().parts) == dict(whole.watched().parts)
    whole.close()


def test_several_followers_at_once_raise_each_alert_once(store: Store) -> None:
    """Threads that catch up while rows come in tell of every change once."""
    rows, stop = traffic(), threading.Event()
    notices: list[Notice] = []

    def follow() -> None:
        follower = Follower(store)
        while not stop.is_set():
            notices.extend(follower.catch_up(NOW).notices)
        notices.extend(follower.catch_up(NOW).notices)

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(0, len(rows), 40):
        store.append(rows[start : start + 40])
    stop.set()
    for thread in threads:
        thread.join()
    assert sorted(n.alert.cause for n in notices if n.change == "raised") == [
        "longer", "truncation",
    ]  # fmt: skip
    told = store.claim_events(NOW, lease=60)
    assert sum(event.change == "raised" for event in told) == 2


def test_what_could_not_be_saved_is_found_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that fails while saving loses no alert."""
    store.append(traffic())
    follower = Follower(store)

    def broken(_progress: Progress) -> bool:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "save_watch", broken)
        with pytest.raises(StoreError):
            follower.catch_up(NOW)
    assert store.alerts() == []
    found = follower.catch_up(NOW)
    assert [n.alert.cause for n in found.notices if n.change == "raised"] == [
        "longer", "truncation",
    ]  # fmt: skip


def test_a_history_that_is_far_ahead_is_taken_up_near_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows beyond the most that are caught up with are passed over, and that is said."""
    monkeypatch.setattr(following, "MOST_BEHIND", 500)
    store.append(traffic())
    found = Follower(store).catch_up(NOW)
    assert (found.rows, found.skipped) == (500, 700)


def test_time_that_is_short_leaves_rows_for_the_next_look(store: Store) -> None:
    """With no time at all some rows are taken in, and it is said how many wait."""
    store.append(traffic())
    follower = Follower(store)
    first = follower.catch_up(NOW, within=-1.0)
    assert (first.rows, first.waiting) == (1_000, 200)
    second = follower.catch_up(NOW, within=-1.0)
    assert (second.rows, second.waiting) == (200, 0)
    both = first.then(second)
    assert (both.rows, both.waiting) == (1_200, 0)
    assert [n.alert.cause for n in both.notices if n.change == "raised"] == ["longer", "truncation"]


def test_a_limit_is_told_to_the_watch_of_the_history(store: Store) -> None:
    """Another process sees the alert, and knows that it is open."""
    (notice,) = Follower(store).limit("team, day", 90, 100, NOW, NOW)
    assert notice.change == "raised"
    (again,) = Follower(store).limit("team, day", 91, 100, NOW, NOW)
    assert again.change == "updated"
    assert [one.figures["used"] for one in store.alerts()] == [91]
