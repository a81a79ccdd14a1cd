"""Whatever happens to a history, its counters are what its rows say, and no grant is too much."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from budget_proxy.ledger.accounts import Account, Open
from budget_proxy.ledger.limits import EACH, Limit, amount_of
from budget_proxy.ledger.windows import window_of
from budget_proxy.store.base import Store
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
from tests.makers import NOW

TTL = 60.0
OWNERS = ("a", "b", "c")
NAMES = ("x", "x/y", "y", 'q"é', "")

names = st.sampled_from(NAMES)
some = st.none() | names
rows = st.builds(
    CallRecord,
    ts=st.floats(-90_000, 90_000).map(lambda seconds: NOW + seconds)
    | st.sampled_from([0.0, 1e300]),
    api=st.just("openai.chat"),
    model=names,
    call_id=st.uuids().map(str),
    agent=names,
    run=some | st.just("/x"),
    task=some,
    user=some,
    key=some,
    tags=st.lists(names, max_size=3).map(tuple),
    input_tokens=st.none() | st.integers(0, 500) | st.just(2**61),
    output_tokens=st.none() | st.integers(0, 500),
    cost=st.none() | st.floats(0, 1e-6) | st.just(float("inf")),
    charged=st.none() | st.integers(0, 500),
    instance=st.sampled_from((*OWNERS, "import")),
    limits=st.integers(0, 6),
)
wheres = st.lists(
    st.tuples(
        st.sampled_from(("key", "user", "agent", "task", "model", "tag", "run")),
        names | st.just(EACH),
    ),
    max_size=2,
    unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
).map(tuple)
limits = st.builds(
    Limit,
    unit=st.sampled_from(("tokens", "output_tokens", "usd")),
    amount=st.integers(0, 3_000),
    window=st.sampled_from(("flight", "minute", "hour", "day", "week", "month", "lifetime")),
    where=wheres,
    zone=st.sampled_from(("UTC", "Europe/Berlin", "Asia/Kathmandu")),
    created=st.floats(-90_000, 1_000).map(lambda seconds: NOW + seconds),
)


class Histories(RuleBasedStateMachine):
    """Two histories, on disk and in memory, to which the same happens."""

    @initialize()
    def open(self) -> None:
        """Begin with empty ones."""
        self.directory = tempfile.TemporaryDirectory()
        disk = SQLiteStore(Path(self.directory.name) / "history.db")
        disk.migrate()
        self.both: Sequence[Store] = (disk, MemoryStore())
        self.now = NOW
        self.late = 0

    def teardown(self) -> None:
        """Close them."""
        if hasattr(self, "both"):
            for store in self.both:
                store.close()
            self.directory.cleanup()

    def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What both say, which is the same."""
        disk, memory = (getattr(store, method)(*arguments, **named) for store in self.both)
        assert disk == memory
        return disk

    def accounts(self) -> list[Account]:
        """Accounts of the windows of now, and of some name."""
        return [
            Account(one.id, part, window_of(one.window, one.zone, self.now)[0])
            for one in self.ask("limits")
            for part in (NAMES if one.by else ("",))
        ]

    @rule(limit=limits)
    def limit(self, limit: Limit) -> None:
        """Someone makes a limit."""
        if len(self.ask("limits")) < 4:
            self.ask("save_limit", limit)

    @rule(limit=limits, data=st.data())
    def change(self, limit: Limit, data: st.DataObject) -> None:
        """Someone changes a limit, in its amount alone or altogether."""
        known = self.ask("limits")
        if known:
            old = data.draw(st.sampled_from(known))
            plain = replace(old, amount=limit.amount)
            self.ask("save_limit", data.draw(st.sampled_from([plain, replace(limit, id=old.id)])))

    @rule(id_=st.integers(1, 6))
    def remove(self, id_: int) -> None:
        """Someone removes a limit."""
        self.ask("remove_limit", id_)

    @rule(written=st.lists(rows, min_size=1, max_size=6))
    def append(self, written: list[CallRecord]) -> None:
        """Rows are written, each no more than its instance holds or less than that."""
        self.ask("append", written)

    @rule(row=rows, settled=rows)
    def settle_late(self, row: CallRecord, settled: CallRecord) -> None:
        """An answer made in the background comes."""
        self.late += 1
        response = f"response-{self.late}"
        self.ask("append", [replace(row, pending=True, response_id=response)])
        self.ask("settle_late", response, lambda old: replace(settled, ts=old.ts))

    @rule(limit=st.integers(1, 8))
    def fold(self, limit: int) -> None:
        """Old rows go."""
        self.ask("fold", 10**6, NOW + 1e6, limit=limit)

    @rule()
    def charge(self) -> None:
        """Rows without a price are charged."""
        self.ask("charge", lambda row: replace(row, charged=77))

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 3_700.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule(owner=st.sampled_from(OWNERS))
    def renew(self, owner: str) -> None:
        """A process holds on to what it has."""
        self.ask("renew", owner, self.now, TTL)

    @rule(owner=st.sampled_from(OWNERS), wanted=st.integers(0, 2_000), data=st.data())
    def lease(self, owner: str, wanted: int, data: st.DataObject) -> None:
        """A process asks for more, and is given what is left or nothing."""
        accounts = self.accounts()
        if not accounts:
            return
        account = data.draw(st.sampled_from(accounts))
        amount = next(one.amount for one in self.ask("limits") if one.id == account.limit)
        grant = self.ask("lease", owner, {account: wanted}, self.now, TTL)[account]
        assert grant.amount == 0 or grant.amount >= wanted
        if grant.amount:
            assert grant.used + grant.held <= amount
            (balance,) = (b for b in self.ask("balances", self.now) if b.account == account)
            assert (balance.used, balance.held) == (grant.used, grant.held)

    @rule(owner=st.sampled_from(OWNERS), amount=st.integers(0, 300), data=st.data())
    def give_back(self, owner: str, amount: int, data: st.DataObject) -> None:
        """A process needs less."""
        if accounts := self.accounts():
            self.ask("give_back", owner, {data.draw(st.sampled_from(accounts)): amount})

    @rule(owner=st.sampled_from(OWNERS), calls=st.integers(0, 3), data=st.data())
    def tell_open(self, owner: str, calls: int, data: st.DataObject) -> None:
        """A process says what is under way."""
        accounts = self.accounts()
        if accounts and self.both[1].counts()["lessees"]:
            self.ask("renew", owner, self.now, TTL)
            account = data.draw(st.sampled_from(accounts))
            self.ask("tell_open", owner, {account: Open(calls, 2 * calls, 9 * calls)})

    @rule(number=st.integers(1, 5), calls=st.integers(1, 3))
    def note_expired(self, number: int, calls: int) -> None:
        """A process let go what nobody settled, of a limit that may be gone by now."""
        self.ask("note_expired", {number: calls})

    @invariant()
    def counters_are_what_rows_say(self) -> None:
        """Nothing is counted twice, nothing left out, on disk as in memory."""
        if hasattr(self, "both"):
            for now in (self.now, NOW, NOW - 5_000):
                assert self.ask("miscounted", now) == {}
                self.ask("counted", now)
                assert self.ask("recount", now) == 0
            self.ask("balances", self.now)
            self.ask("expired")


def test_counters_are_always_what_the_rows_say() -> None:
    """Rows, late answers, folds, charges, leases and changes of limits, in any order."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@settings(max_examples=200, deadline=None)
@given(
    amount=st.integers(0, 5_000),
    steps=st.lists(
        st.tuples(
            st.sampled_from(OWNERS),
            st.integers(1, 900),
            st.floats(0, 1),
            st.sampled_from(["settle", "give back", "die"]),
        ),
        max_size=40,
    ),
)
def test_processes_that_use_what_they_hold_never_pass_the_limit(
    amount: int, steps: list[tuple[str, int, float, str]]
) -> None:
    """Each asks, then uses a part of what it holds, gives it back or dies: never beyond."""
    store = MemoryStore()
    account = Account(
        store.save_limit(Limit("output_tokens", amount, "lifetime", created=NOW)), "", 0.0
    )
    holds = dict.fromkeys(OWNERS, 0)
    alive = {owner: owner for owner in OWNERS}
    for number, (owner, wanted, share, then) in enumerate(steps):
        granted = store.lease(alive[owner], {account: wanted}, NOW, TTL)[account].amount
        holds[owner] += granted
        part = int(share * holds[owner])
        if then == "settle":
            row = CallRecord(NOW, "openai.chat", "m", str(number), output_tokens=part)
            store.append([replace(row, instance=alive[owner], limits=1)])
            holds[owner] -= part
        elif then == "give back":
            store.give_back(alive[owner], {account: part})
            holds[owner] -= part
        else:
            alive[owner], holds[owner] = f"{owner}{number}", 0
        rows_count = sum(amount_of("output_tokens", row) for row in store.recent(1_000))
        (balance,) = store.balances(NOW)
        assert balance.used == rows_count
        assert rows_count + sum(holds.values()) <= balance.used + balance.held <= amount
