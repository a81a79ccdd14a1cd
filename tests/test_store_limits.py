"""What every store does alike of limits: counters, leases, and their agreement with the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.accounts import Account, Balance, Grant, Open
from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.store.base import Store
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
from tests.makers import NOW, record
from tests.test_store_contract import OPENERS

MIDNIGHT = NOW - NOW % 86_400
TTL = 60.0


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def limit(amount: int = 1_000, **given: Any) -> Limit:
    """A limit of output tokens a day, made at NOW."""
    facts: dict[str, Any] = {"unit": "output_tokens", "window": "day", "created": NOW}
    return Limit(amount=amount, **{**facts, **given})


def settled(owner: str, **given: Any) -> CallRecord:
    """A row of a process that held its call to all limits in force."""
    return record(instance=owner, limits=99, **given)


def used(store: Store, now: float = NOW) -> dict[str, int]:
    """What the accounts in force count, by their names; that is checked against the rows."""
    assert store.miscounted(now) == {}
    balances = store.balances(now)
    counted = store.counted(now)
    for balance in balances:
        assert counted.get(balance.account, 0) == balance.used
    return {balance.account.part: balance.used for balance in balances}


def test_limits_are_numbered_read_and_removed(store: Store) -> None:
    """A limit comes back as it was saved, under a number that is never used twice."""
    full = limit(
        5, unit="usd", where=(("agent", "a"), ("tag", EACH)), action="degrade", model="m",
        effort="low", zone="Europe/Berlin", hold="worst", name="it's",
    )  # fmt: skip
    assert (store.limits(), store.limits_version()) == ([], 0)
    assert [store.save_limit(full), store.save_limit(limit())] == [1, 2]
    assert store.limits() == [replace(full, id=1), limit(id=2)]
    version = store.limits_version()
    assert version > 0
    assert [store.remove_limit(2), store.remove_limit(2)] == [True, False]
    assert store.limits_version() > version
    assert store.save_limit(limit()) == 3
    assert [one.id for one in store.limits()] == [1, 3]


def test_a_limit_that_is_not_there_cannot_be_changed(store: Store) -> None:
    """Saving under a number that was never given is refused, and changes nothing."""
    with pytest.raises(InvalidInput, match="no limit 7"):
        store.save_limit(limit(id=7))
    assert (store.limits(), store.limits_version()) == ([], 0)


def test_rows_are_counted_as_they_are_written(store: Store) -> None:
    """Every unit, and only the rows that a limit concerns."""
    store.save_limit(limit(where=(("agent", "reviewer"),)))
    store.save_limit(limit(unit="tokens"))
    store.save_limit(limit(unit="usd"))
    store.append([record(charged=7), record(agent="other", cost=1.5e-9, output_tokens=None)])
    assert [balance.used for balance in store.balances(NOW)] == [100, 120, 9]
    assert store.miscounted(NOW) == {}


def test_each_value_has_an_account(store: Store) -> None:
    """Accounts come as values do; a row without one counts in that of nobody."""
    store.save_limit(limit(where=(("user", EACH),)))
    store.append([record(user="u1"), record(user="u2"), record(user="u1"), record()])
    assert used(store) == {"u1": 200, "u2": 100, "": 100}


def test_an_account_that_another_limit_names_is_counted_and_not_shown(store: Store) -> None:
    """Bob is held to Bob's own limit alone; both counters are what the rows say."""
    store.save_limit(limit(100, where=(("user", EACH),)))
    store.save_limit(limit(500, where=(("user", "bob"),)))
    store.append([record(user="bob"), record(user="ann")])
    shown = [(one.account.limit, one.account.part, one.used) for one in store.balances(NOW)]
    assert shown == [(1, "ann", 100), (2, "", 100)]
    assert {one.part for one in store.counted(NOW) if one.limit == 1} == {"ann", "bob"}
    assert store.miscounted(NOW) == {}
    store.remove_limit(2)
    assert used(store) == {"ann": 100, "bob": 100}


def test_a_row_counts_once_for_every_tag_and_every_run_above_it(store: Store) -> None:
    """Tags are a list, whose members may repeat; runs are paths."""
    store.save_limit(limit(where=(("tag", EACH),)))
    store.append([record(tags=("a", "b", "a"), run="x/y/z"), record(run="x/w")])
    assert used(store) == {"a": 100, "b": 100, "": 100}
    store.remove_limit(1)
    store.save_limit(limit(where=(("run", EACH),)))
    assert used(store) == {"x": 200, "x/y": 100, "x/y/z": 100, "x/w": 100}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ((), {"": 600}),
        ((("key", "k"),), {"": 100}),
        ((("user", "u"),), {"": 100}),
        ((("agent", "a"), ("user", "u")), {"": 100}),
        ((("agent", "b"), ("user", "u")), {"": 0}),
        ((("task", "t%"),), {"": 100}),
        ((("model", "m"),), {"": 100}),
        ((("tag", 'ü "quoted"'),), {"": 100}),
        ((("tag", "u"),), {"": 0}),
        ((("run", "x"),), {"": 200}),
        ((("run", "x/y"),), {"": 100}),
        ((("user", ""),), {"": 500}),
        ((("agent", "a"), ("run", EACH)), {"x": 100, "x/y": 100}),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_limit_begins_with_what_the_history_says(
    store: Store, where: tuple[tuple[str, str], ...], expected: dict[str, int], *, first: bool
) -> None:
    """It makes no difference whether the rows or the limit were there first."""
    rows = [
        record(agent="a", user="u", run="x/y"),
        record(key="k", run="xx"),
        record(task="t%", tags=('ü "quoted"', "z")),
        record(task="tt", model="m", tags=("z",)),
        record(run="x"),
        record(),
    ]
    if first:
        store.save_limit(limit(where=where))
    store.append(rows)
    if not first:
        store.save_limit(limit(where=where))
    assert used(store) == expected


def test_windows_have_accounts_of_their_own(store: Store) -> None:
    """A row counts in the window of its own time, also when the clock jumps back or ahead."""
    day = 86_400
    store.append([record(ts=MIDNIGHT + 2 * day)])  # a clock that was ahead
    store.save_limit(limit(created=MIDNIGHT + 10))
    store.append([record(ts=MIDNIGHT + day), record(ts=MIDNIGHT), record(ts=MIDNIGHT + day - 1)])
    assert [used(store, MIDNIGHT + number * day)[""] for number in range(4)] == [200, 100, 100, 0]


def test_days_begin_in_the_limits_zone(store: Store) -> None:
    """A day in Berlin begins an hour before that of UTC in winter."""
    store.save_limit(limit(zone="Europe/Berlin"))
    store.append([record(ts=MIDNIGHT - 3_600), record(ts=MIDNIGHT + 23 * 3_600 - 1)])
    assert used(store) == {"": 200}


def test_rows_before_the_first_window_count_nowhere(store: Store) -> None:
    """An import of last month's calls leaves today's limits as they are, and those of then."""
    store.save_limit(limit())
    old = MIDNIGHT - 30 * 86_400
    store.append([record(ts=old), record(ts=-5.0), record(ts=1e300), record()])
    assert used(store) == {"": 100}
    assert used(store, old) == {"": 0}


def test_a_lifetime_counts_the_whole_history(store: Store) -> None:
    """Such a limit begins with all rows that are there."""
    store.append([record(ts=1.0), record(ts=1e300)])
    store.save_limit(limit(window="lifetime"))
    store.append([record()])
    assert used(store) == {"": 200}


def test_usage_that_no_provider_can_mean_is_bounded(store: Store) -> None:
    """Absurd counts neither stop a limit nor overflow it."""
    store.save_limit(limit(unit="tokens"))
    absurd = record(output_tokens=2**62, input_tokens=-5)
    store.append([absurd, absurd, record(cost=float("inf"))])
    assert used(store) == {"": 2 * 10**13 + 110}
    store.save_limit(limit(unit="usd"))
    assert store.miscounted(NOW) == {}


def test_a_late_answer_changes_what_its_row_counts(store: Store) -> None:
    """The newer row counts in place of the pending one, by the difference."""
    store.save_limit(limit())
    store.append([record(pending=True, response_id="r", output_tokens=500), record()])
    assert used(store) == {"": 600}
    store.settle_late("r", lambda row: replace(row, pending=False, output_tokens=20))
    assert used(store) == {"": 120}


def test_folded_rows_go_on_counting(store: Store) -> None:
    """What compaction lets go counts as before, and a recount finds the same."""
    store.save_limit(limit(where=(("user", EACH),)))
    store.append([record(user="u"), record(user="v"), record(user="u")])
    assert store.fold(3, NOW + 1) == 3
    store.append([record(user="u")])
    assert used(store) == {"u": 300, "v": 100}
    assert store.recount(NOW) == 0


def test_rows_without_a_price_are_charged_before_a_limit_in_money(store: Store) -> None:
    """Those with neither price nor charge are said; other limits count them from then on too."""
    store.save_limit(limit(unit="usd"))
    store.append([record(), record(cost=2e-9), record(charged=3), record(ts=MIDNIGHT - 9)])
    assert used(store) == {"": 5}
    assert store.charge(lambda row: replace(row, charged=40), MIDNIGHT) == 1
    assert store.charge(lambda row: replace(row, charged=40), MIDNIGHT) == 0
    store.save_limit(limit(unit="usd", where=(("agent", "reviewer"),)))
    assert [balance.used for balance in store.balances(NOW)] == [45, 45]
    assert store.miscounted(NOW) == {}
    assert [row.charged for row in store.recent(9)] == [40, None, 3, None]


def test_a_new_amount_keeps_accounts_and_leases(store: Store) -> None:
    """Where a limit counts otherwise, both begin anew; where it counts the same, they stay."""
    id_ = store.save_limit(limit())
    store.append([record(user="u")])
    store.lease("a", {Account(id_, "", MIDNIGHT): 50}, NOW, TTL)
    store.save_limit(limit(150, id=id_, action="alert", name="x"))
    (balance,) = store.balances(NOW)
    assert (balance.used, balance.held > 0) == (100, True)
    store.save_limit(limit(150, id=id_, where=(("user", EACH),)))
    (balance,) = store.balances(NOW)
    assert (balance.account.part, balance.used, balance.held) == ("u", 100, 0)


def test_a_lease_is_all_that_is_wanted_or_nothing(store: Store) -> None:
    """While much is left it is more; near the end just what is wanted; then nothing."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    assert store.lease("a", {account: 10}, NOW, TTL) == {account: Grant(250, 0, 250)}
    assert store.lease("b", {account: 700}, NOW, TTL) == {account: Grant(700, 0, 950)}
    assert store.lease("b", {account: 51}, NOW, TTL) == {account: Grant(0, 0, 950)}
    assert store.lease("b", {account: 50}, NOW, TTL) == {account: Grant(50, 0, 1_000)}
    assert store.balances(NOW) == [Balance(account, 0, 1_000, 2)]
    assert store.lease("c", {Account(9, "", 0.0): 1}, NOW, TTL) == {}


def test_zero_is_zero(store: Store) -> None:
    """A limit of nothing grants nothing."""
    account = Account(store.save_limit(limit(0)), "", MIDNIGHT)
    assert store.lease("a", {account: 1}, NOW, TTL) == {account: Grant(0, 0, 0)}


def test_rows_are_taken_off_their_instances_lease(store: Store) -> None:
    """Used and held add up to the same before and after, whoever else writes rows."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {account: 400}, NOW, TTL)
    store.append([settled("a"), settled("a", output_tokens=50)])
    assert store.balances(NOW) == [Balance(account, 150, 250, 1)]
    store.append([record(instance="import")])
    assert store.balances(NOW) == [Balance(account, 250, 250, 1)]


def test_rows_of_calls_that_held_nothing_are_a_debt_of_their_owners(store: Store) -> None:
    """As its ledger has it: a limit that came into force amid a call, a task that is recorded."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.append([settled("a", output_tokens=400)])
    assert store.balances(NOW) == [Balance(account, 400, 0, 0)]
    assert store.lease("a", {account: 500}, NOW, TTL) == {account: Grant(500, 400, 100)}
    store.append([settled("a")])
    assert store.lease("a", {account: 501}, NOW, TTL)[account] == Grant(0, 500, 0)


def test_rows_that_settled_before_a_limit_was_in_force_take_nothing_off_its_lease(
    store: Store,
) -> None:
    """Nor do they of one that only alerts, of which nobody holds anything."""
    store.save_limit(limit(1_000, action="alert"))
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {account: 400}, NOW, TTL)
    store.append([record(instance="a", limits=1)])
    assert store.balances(NOW)[1] == Balance(account, 100, 400, 1)
    assert store.counts()["leases"] == 1


def test_who_uses_more_than_it_held_gives_nobody_else_more(store: Store) -> None:
    """A lease below nothing is a debt of its owner's: the next grant goes to that first."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {account: 250}, NOW, TTL)
    store.append([settled("a", output_tokens=700)])  # 450 below nothing
    assert store.balances(NOW) == [Balance(account, 700, 0, 0)]
    assert store.lease("b", {account: 301}, NOW, TTL)[account].amount == 0
    assert store.lease("a", {account: 751}, NOW, TTL)[account].amount == 0
    assert store.lease("a", {account: 750}, NOW, TTL) == {account: Grant(750, 700, 300)}
    store.append([settled("a", output_tokens=800)])  # beyond the limit
    assert store.lease("a", {account: 1}, NOW, TTL)[account].amount == 0


def test_in_flight_leases_are_all_there_is(store: Store) -> None:
    """A limit of what is in flight counts no rows, and rows take nothing off its leases."""
    account = Account(store.save_limit(limit(window="flight")), "", 0.0)
    store.lease("a", {account: 900}, NOW, TTL)
    store.append([settled("a")])
    assert store.balances(NOW) == [Balance(account, 0, 900, 1)]
    store.give_back("a", {account: 100})
    assert store.lease("b", {account: 200}, NOW, TTL)[account].amount == 200


def test_a_lease_that_nobody_renews_is_over_after_its_time(store: Store) -> None:
    """Until then it counts as spent, then others may be given it."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("killed", {account: 900}, NOW, TTL)
    assert store.lease("b", {account: 200}, NOW + TTL - 1, TTL)[account].amount == 0
    assert store.lease("b", {account: 1_000}, NOW + TTL, TTL)[account].amount == 1_000


def test_renewed_leases_hold(store: Store) -> None:
    """All of an owner's, at once."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {account: 900}, NOW, TTL)
    assert store.renew("a", NOW + 50, TTL)
    assert store.lease("b", {account: 200}, NOW + 100, TTL)[account].amount == 0


def test_an_owner_that_comes_back_late_keeps_what_is_left(store: Store) -> None:
    """After a machine's sleep nobody is refused what nobody else was given."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {account: 900}, NOW, TTL)
    assert store.renew("a", NOW + 1_000, TTL)
    assert store.balances(NOW + 1_000) == [Balance(account, 0, 900, 1)]


@pytest.mark.parametrize("asks_first", [True, False])
def test_an_owner_that_comes_back_too_late_is_told(store: Store, *, asks_first: bool) -> None:
    """Where others were given it, all that it held is void, and renewing says so once."""
    one = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    two = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {one: 900, two: 900}, NOW, TTL)
    store.lease("b", {one: 1_000}, NOW + TTL, TTL)
    later = NOW + TTL + 10
    if asks_first:
        assert store.lease("a", {one: 1}, later, TTL)[one].amount == 0
    assert not store.renew("a", later, TTL)
    assert store.renew("a", later, TTL)
    assert [balance.held for balance in store.balances(later)] == [1_000, 0]


def test_leases_of_the_dead_are_deleted(store: Store) -> None:
    """They go after an hour; an owner that comes back even then is told that they are void."""
    account = Account(store.save_limit(limit(1_000, window="lifetime")), "", 0.0)
    store.lease("a", {account: 900}, NOW, TTL)
    store.renew("b", NOW + 4_000, TTL)
    assert store.counts()["leases"] == 0
    assert not store.renew("a", NOW + 4_000, TTL)
    store.renew("b", NOW + 40 * 86_400, TTL)
    assert store.counts()["lessees"] == 1


def test_what_an_owner_owes_outlives_its_leases(store: Store) -> None:
    """It may only have slept: then it leases what it owes first. It goes when it is forgotten."""
    account = Account(store.save_limit(limit(1_000, window="lifetime")), "", 0.0)
    had = store.lease("a", {account: 100}, NOW, TTL)[account].amount
    store.append([settled("a", output_tokens=had + 50)])
    later = NOW + 4_000
    store.renew("b", later, TTL)
    assert store.counts()["leases"] == 1
    assert not store.renew("a", later, TTL)
    granted = store.lease("a", {account: 200}, later, TTL)[account].amount
    assert (granted >= 200, store.balances(later)[0].held) == (True, granted - 50)
    store.renew("b", NOW + 40 * 86_400, TTL)
    assert store.counts()["leases"] == 0


def test_a_lease_of_which_nothing_is_left_takes_no_rows(store: Store) -> None:
    """What a value used under a named limit is not owed by who once held its part of `*`."""
    every = store.save_limit(limit(1_000, window="lifetime", where=(("user", "*"),)))
    bobs = Account(every, "bob", 0.0)
    had = store.lease("a", {bobs: 100}, NOW, TTL)[bobs].amount
    store.tell_open("a", {bobs: Open(1, 50, 50)})
    store.give_back("a", {bobs: had})
    store.tell_open("a", {})
    assert store.counts()["leases"] == 0
    named = store.save_limit(limit(5_000, window="lifetime", where=(("user", "bob"),)))
    store.append([settled("a", user="bob", output_tokens=800)])
    store.remove_limit(named)
    assert store.lease("a", {bobs: 900}, NOW, TTL)[bobs].amount == 0


def test_limits_of_a_transaction_that_failed_are_not_counted_by(tmp_path: Path) -> None:
    """Their numbers are given to others, by another process maybe."""
    store, other = (SQLiteStore(tmp_path / "history.db") for _ in range(2))
    store.migrate()

    def fail() -> None:
        with store._transaction("written") as connection:
            for _ in range(2):
                store._save_limit(connection, limit(where=(("agent", "nobody"),)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    other.save_limit(limit())
    store.append([settled("a", output_tokens=70)])
    assert used(store) == {"": 70}
    store.close()
    other.close()


def test_a_clock_set_back_makes_no_lease_longer(store: Store) -> None:
    """A lease made while the clock was ahead is over its time after it was set right."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("killed", {account: 900}, NOW + 5_000, TTL)
    assert store.lease("b", {account: 200}, NOW, TTL)[account].amount == 0
    assert store.lease("b", {account: 200}, NOW + TTL, TTL)[account].amount >= 200


def test_what_is_given_back_others_may_hold(store: Store) -> None:
    """A lease of nothing is over."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {account: 1_000}, NOW, TTL)
    store.give_back("a", {account: 600})
    assert store.lease("b", {account: 600}, NOW, TTL)[account].amount == 600
    store.give_back("a", {account: 400})
    assert store.counts()["leases"] == 1


def test_open_calls_are_told(store: Store) -> None:
    """Balances add up what the living owners last said of calls under way."""
    account = Account(store.save_limit(limit(1_000)), "", MIDNIGHT)
    store.lease("a", {account: 200}, NOW, TTL)
    store.lease("b", {account: 100}, NOW, TTL)
    store.tell_open("a", {account: Open(9, 9, 9)})
    store.tell_open("a", {account: Open(2, 150, 4_000)})
    store.tell_open("b", {account: Open(1, 90, 900)})
    assert store.balances(NOW)[0].open == 3
    assert (store.balances(NOW)[0].reserved, store.balances(NOW)[0].worst) == (240, 4_900)
    store.tell_open("b", {})
    assert store.balances(NOW)[0].open == 2
    assert store.balances(NOW + TTL)[0].open == 0


def test_calls_that_nobody_settled_are_counted_with_their_limit(store: Store) -> None:
    """Also after its amount was changed; of a limit that is not there nothing is kept."""
    first, second = store.save_limit(limit()), store.save_limit(limit(window="flight"))
    version = store.limits_version()
    assert store.expired() == {}
    store.note_expired({first: 2, 99: 5})
    store.note_expired({first: 1, second: 1})
    assert store.expired() == {first: 3, second: 1}
    assert store.limits_version() == version
    store.save_limit(limit(7, id=first))
    store.remove_limit(second)
    assert store.expired() == {first: 3}


@pytest.mark.parametrize(("window", "age"), [("minute", 90_000), ("hour", 40 * 86_400 + 3_600)])
def test_accounts_of_short_windows_that_are_long_over_go(
    store: Store, window: Any, age: float
) -> None:
    """Those of days and longer windows stay."""
    store.save_limit(limit(window=window))
    store.save_limit(limit())
    store.append([record()])
    store.renew("a", NOW + age - 7_200, TTL)
    assert store.counts()["accounts"] == 2
    store.renew("a", NOW + age, TTL)
    assert store.counts()["accounts"] == 1
    assert store.balances(NOW)[1].used == 100


def test_leases_of_windows_that_are_over_go(store: Store) -> None:
    """A day after the end of a window no call of it is under way any more."""
    account = Account(store.save_limit(limit(window="minute")), "", NOW)
    store.lease("a", {account: 100}, NOW, TTL)
    store.renew("a", NOW + 80_000, TTL)
    assert store.counts()["leases"] == 1
    store.renew("a", NOW + 87_000, TTL)
    assert store.counts()["leases"] == 0
