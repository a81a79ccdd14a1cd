"""What every store does alike with alerts; a new store joins by test_store_contract's OPENERS."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.store.alerts import FRESH, KEPT, Alert, Change, Mute, Progress, seen
from budget_proxy.store.base import Store
from tests.makers import NOW, record
from tests.test_store_contract import FULL, OPENERS


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def alert(id_: int = 1, **given: Any) -> Alert:
    """An open alert on one group."""
    facts: dict[str, Any] = {
        "cause": "longer", "agent": "a", "task_type": None, "model": "m", "severity": "warning",
        "since": NOW, "opened": NOW + 1, "updated": NOW + 2, "rows": 3, "first_row": 4,
        "last_row": 9, "figures": {"factor": 1.5, "symptoms": {"coverage": {"calls": 2}}},
        "text": "Über",
    }  # fmt: skip
    return Alert(id=id_, **{**facts, **given})


def save(store: Store, *changes: tuple[Change, Alert], now: float = NOW, **parts: Any) -> bool:
    """Save changes as the next step after what is saved."""
    saved = store.watched()
    return store.save_watch(Progress(saved.version, saved.row + 1, parts, changes, now))


def test_a_watch_sees_what_it_needs_of_rows(store: Store) -> None:
    """The columns of rows between two ids, oldest first, as the row has them."""
    store.append([FULL, record(call_id="b"), record(call_id="c"), record(call_id="d")])
    (first, *_) = store.seen(0)
    assert first == seen(replace(FULL, id=1))
    assert [row.call_id for row in store.seen(1, until=3)] == ["b", "c"]
    assert [row.call_id for row in store.seen(1, limit=1)] == ["b"]
    assert store.seen(4) == []


def test_a_watch_goes_on_where_it_was_saved(store: Store) -> None:
    """Parts are replaced one by one, or go; open alerts come back as they were."""
    assert store.watched().version == 0
    assert save(store, ("raised", alert()), one="1", two="2")
    assert save(store, one="11", two=None, three="3")
    saved = store.watched()
    assert (saved.version, saved.row) == (2, 2)
    assert dict(saved.parts) == {"one": "11", "three": "3"}
    assert saved.alerts == (alert(),)


def test_of_two_that_start_from_the_same_version_one_saves(store: Store) -> None:
    """The second's parts, alerts and events are not there: nothing is raised twice."""
    assert store.save_watch(Progress(0, 5, {"p": "first"}, [("raised", alert())], NOW))
    assert not store.save_watch(Progress(0, 6, {"p": "second"}, [("raised", alert(2))], NOW))
    saved = store.watched()
    assert (saved.row, dict(saved.parts)) == (5, {"p": "first"})
    assert [one.id for one in store.alerts(every=True)] == [1]
    assert len(store.claim_events(NOW, lease=60)) == 1


def test_alerts_that_are_over_are_listed_only_where_all_are(store: Store) -> None:
    """Open ones come oldest first; the newest stay if there are more than asked for."""
    save(store, *(("raised", alert(number)) for number in (1, 2, 3)))
    save(store, ("resolved", alert(2, resolved=NOW + 9)))
    assert [one.id for one in store.alerts()] == [1, 3]
    assert [one.id for one in store.alerts(every=True)] == [1, 2, 3]
    assert [one.id for one in store.alerts(every=True, limit=2)] == [2, 3]


def test_what_people_say_of_an_alert_outlives_its_updates(store: Store) -> None:
    """Acknowledged and muted stay when the watch writes the alert again."""
    save(store, ("raised", alert()))
    marked = store.mark_alert(1, acknowledged=NOW + 5)
    assert marked is not None
    assert (marked.acknowledged, marked.muted_until) == (NOW + 5, None)
    store.mark_alert(1, muted_until=math.inf)
    save(store, ("updated", alert(text="more")))
    (found,) = store.alerts()
    assert (found.text, found.acknowledged, found.muted_until) == ("more", NOW + 5, math.inf)
    assert store.mark_alert(7, acknowledged=NOW) is None


def test_events_are_given_to_one_taker_until_the_lease_is_over(store: Store) -> None:
    """Updates are no events; what is delivered is not given again, what is not is."""
    save(store, ("raised", alert()), ("updated", alert()), ("escalated", alert()))
    first, second = store.claim_events(NOW, lease=60)
    assert [(e.change, e.tries, e.alert.id) for e in (first, second)] == [
        ("raised", 1, 1), ("escalated", 1, 1),
    ]  # fmt: skip
    assert store.claim_events(NOW + 59, lease=60) == []
    store.settle_event(first.id, sent=NOW + 1)
    store.settle_event(second.id, due=NOW + 10)
    assert store.claim_events(NOW + 9, lease=60) == []
    (again,) = store.claim_events(NOW + 10, lease=60)
    assert (again.id, again.tries) == (second.id, 2)
    (lost,) = store.claim_events(NOW + 71, lease=60)
    assert (lost.id, lost.tries) == (second.id, 3)


def test_events_of_yesterday_are_no_news(store: Store) -> None:
    """A webhook that is set up later is not sent the past."""
    save(store, ("raised", alert()))
    assert store.claim_events(NOW + FRESH + 1, lease=60) == []


@pytest.mark.parametrize(
    ("mute", "told"),
    [
        (Mute(NOW + 60, cause="longer"), False),
        (Mute(NOW + 60, agent="a"), False),
        (Mute(NOW + 60, "longer", "a", None, "m"), False),
        (Mute(math.inf, model="m"), False),
        (Mute(NOW, cause="longer"), True),
        (Mute(NOW + 60, cause="price"), True),
        (Mute(NOW + 60, task_type="review"), True),
    ],
)
def test_what_is_muted_is_not_told(store: Store, mute: Mute, *, told: bool) -> None:
    """A mute covers alerts that lie within it, while it lasts; they are listed all the same."""
    store.mute(mute)
    save(store, ("raised", alert()))
    assert bool(store.claim_events(NOW, lease=60)) is told
    assert len(store.alerts()) == 1


def test_a_muted_alert_is_told_of_no_more(store: Store) -> None:
    """Muting one alert silences what comes after, until the time is over."""
    save(store, ("raised", alert()))
    store.claim_events(NOW, lease=60)
    store.mark_alert(1, muted_until=NOW + 60)
    save(store, ("escalated", alert()), now=NOW + 30)
    assert store.claim_events(NOW + 30, lease=60) == []
    save(store, ("resolved", alert(resolved=NOW)), now=NOW + 61)
    assert [e.change for e in store.claim_events(NOW + 61, lease=60)][-1:] == ["resolved"]


def test_a_mute_replaces_one_of_the_same(store: Store) -> None:
    """A later mute of the same cause and calls takes the place of the earlier, and may end it."""
    store.mute(Mute(NOW + 60, cause="price"))
    store.mute(Mute(NOW + 90, cause="price"))
    store.mute(Mute(NOW + 60, agent="a"))
    assert {mute.until for mute in store.mutes(NOW)} == {NOW + 90, NOW + 60}
    store.mute(Mute(0.0, cause="price"))
    assert [mute.agent for mute in store.mutes(NOW)] == ["a"]


def test_old_alerts_and_events_are_let_go(store: Store) -> None:
    """Of those that are over the newest thousand stay; an open one stays however old."""
    over = [alert(number, resolved=NOW) for number in range(2, KEPT + 12)]
    save(store, ("raised", alert(1)))
    save(store, *(("resolved", one) for one in over))
    ids = [one.id for one in store.alerts(every=True, limit=5 * KEPT)]
    assert (len(ids), ids[:2]) == (KEPT + 1, [1, 12])
    assert store.counts()["alert_events"] == KEPT
