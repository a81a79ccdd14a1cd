"""The keeper of a process's leases."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path

import pytest

from budget_proxy.errors import StoreError
from budget_proxy.ledger.accounts import Account, Open
from budget_proxy.ledger.limits import Limit
from budget_proxy.store.keeper import Keeper
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
from tests.makers import NOW, record

LIFETIME = Limit("output_tokens", 1_000, "lifetime")


class Told:
    """A holder that writes down what it is told, and says what it was set to say."""

    def __init__(self) -> None:
        self.limits: list[list[Limit]] = []
        self.void = 0
        self.waiting: list[CallRecord] = []
        self.late: list[CallRecord] = []
        self.trusted = 0.0
        self.expired = 0
        self.orphans: dict[int, int] = {}
        self.spare: dict[Account, int] = {}
        self.asked_at = 0.0
        self.calls: dict[Account, Open] = {}

    def adopt(self, limits: Sequence[Limit]) -> None:
        """Note them."""
        self.limits.append(list(limits))

    def trust(self, until: float) -> None:
        """Note it."""
        self.trusted = until

    def unwritten(self) -> Sequence[CallRecord]:
        """What was set."""
        return self.waiting

    def lost(self, unwritten: Sequence[CallRecord]) -> None:
        """Count it, and note what was not written before."""
        self.void += 1
        self.late = list(unwritten)

    def idle(self, now: float) -> Mapping[Account, int]:
        """What is spare, once."""
        self.asked_at = now
        spare, self.spare = self.spare, {}
        return spare

    def open(self) -> Mapping[Account, Open]:
        """What was set."""
        return self.calls

    def expire(self, now: float) -> Mapping[int, int]:
        """Count it; what was set to be over, once."""
        self.expired += now > 0
        orphans, self.orphans = self.orphans, {}
        return orphans


class Here:
    """A history, a keeper over it whose clock stands still, and what it tells."""

    def __init__(self, path: Path) -> None:
        self.store = SQLiteStore(path)
        self.store.migrate()
        self.now = NOW
        self.told = Told()
        self.faults: list[tuple[str, Exception]] = []
        self.keeper = Keeper(
            self.store, self.told, owner=lambda: f"owner-{os.getpid()}", ttl=60.0, every=0.02,
            on_fault=lambda stage, error: self.faults.append((stage, error)),
            clock=lambda: self.now,
        )  # fmt: skip

    def held(self) -> int:
        """What is held of the first limit."""
        return self.store.balances(self.now)[0].held


def no_store(*_: object) -> bool:
    """A store that cannot be reached."""
    raise StoreError("there is no store")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    """One whose thread does not run, so that a test looks when it likes."""
    made = Here(tmp_path / "history.db")
    yield made
    made.keeper.close()
    made.store.close()


def test_changes_of_limits_are_handed_on(here: Here) -> None:
    """Each change once; until there are limits nothing else is asked or done."""
    here.keeper.look()
    assert (here.told.limits, here.told.expired, here.store.counts()["lessees"]) == ([], 0, 0)
    id_ = here.store.save_limit(LIFETIME)
    here.keeper.look()
    here.keeper.look()
    assert [[limit.amount for limit in limits] for limits in here.told.limits] == [[1_000]]
    assert here.told.expired == 2
    here.store.remove_limit(id_)
    here.keeper.look()
    assert here.told.limits[1:] == [[]]
    assert here.told.expired == 2


def test_leases_are_renewed_in_time(here: Here) -> None:
    """As long as a keeper looks, its owner's leases hold; nobody is told that they are void."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    granted = here.keeper.lease({account: 900})[account].amount
    for _ in range(20):
        here.now += 10
        here.keeper.look()
    assert (here.held(), here.told.void) == (granted, 0)


def test_void_leases_are_told_once(here: Here) -> None:
    """A process that slept while others took what it held begins anew."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.lease({account: 900})
    here.keeper.look()
    here.now += 100
    here.store.lease("other", {account: 500}, here.now, 60.0)
    here.told.waiting = [record()]
    here.keeper.look()
    here.keeper.look()
    assert (here.told.void, here.told.late) == (1, here.told.waiting)


def test_a_lease_after_a_sleep_is_made_once_it_is_known_whether_earlier_ones_are_void(
    here: Here,
) -> None:
    """What it grants is not among what was lost; nor is that given back which was."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.lease({account: 900})
    here.keeper.look()
    assert here.told.trusted == NOW + 60.0
    here.told.spare = {account: 300}
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE leases RENAME TO elsewhere")
    here.keeper.look()  # 300 cannot be given back now
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO leases")
    here.now += 60
    here.store.lease("other", {account: 500}, here.now, 60.0)
    assert here.keeper.lease({account: 200})[account].amount == 200
    assert (here.told.void, here.told.trusted) == (1, here.now + 60.0)
    here.keeper.look()
    assert (here.told.void, here.held()) == (1, 700)


def test_what_is_leased_is_trusted_while_the_store_fails(here: Here) -> None:
    """A store that cannot renew for a while gives to nobody else either."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.lease({account: 900})
    here.keeper.look()
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE lessees RENAME TO elsewhere")
    here.now += 90
    here.keeper.look()
    assert here.told.trusted == here.now + 60.0
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO lessees")
    here.keeper.look()
    assert (here.told.void, here.held()) == (0, 900)


def test_after_renewals_that_failed_a_lease_asks_first_whether_others_are_void(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what was void would be used beside what is granted, and then taken for void."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.look()
    here.keeper.lease({account: 300})
    with monkeypatch.context() as broken:
        broken.setattr(here.store, "renew", no_store)
        here.now += 61
        here.keeper.look()
    assert here.told.void == 0
    here.store.lease("other", {account: 900}, here.now, 60.0)
    here.keeper.lease({account: 100})
    assert here.told.void == 1


def test_a_lease_waits_for_what_is_being_given_back(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither here nor in the store then: nobody is refused for that."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.look()
    here.keeper.lease({account: 1_000})
    here.told.spare = {account: 1_000}
    give_back, begun, granted = here.store.give_back, threading.Event(), []

    def slowly(owner: str, amounts: Mapping[Account, int]) -> None:
        begun.set()
        time.sleep(0.2)
        give_back(owner, amounts)

    monkeypatch.setattr(here.store, "give_back", slowly)
    looking = threading.Thread(target=here.keeper.look)
    looking.start()
    assert begun.wait(5)
    granted.append(here.keeper.lease({account: 50})[account].amount)
    looking.join(5)
    assert granted[0] >= 50


def test_what_is_idle_is_given_back_even_if_that_fails_at_first(here: Here) -> None:
    """A store that fails is reported, and given it the next time."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.lease({account: 900})
    here.keeper.look()
    here.told.spare = {account: 300}
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE leases RENAME TO elsewhere")
    here.keeper.look()
    assert [(stage, type(error)) for stage, error in here.faults] == [("limits", StoreError)]
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO leases")
    here.told.spare = {account: 50}
    here.keeper.look()
    assert here.held() == 550


def test_open_calls_are_told_to_others(here: Here) -> None:
    """What calls under way hold can be read in the history; it is written where it changed."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.lease({account: 900})
    here.told.calls = {account: Open(3, 600, 12_000)}
    here.keeper.look()
    (balance,) = here.store.balances(here.now)
    assert (balance.open, balance.reserved, balance.worst) == (3, 600, 12_000)
    here.told.calls = {}
    here.keeper.look()
    assert here.store.balances(here.now)[0].open == 0


def test_what_was_let_go_is_noted_even_if_that_fails_at_first(here: Here) -> None:
    """Once each, also what is over as the process ends; meanwhile leases are renewed."""
    number = here.store.save_limit(LIFETIME)
    here.keeper.look()
    here.told.orphans = {number: 2}
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE limits RENAME TO elsewhere")
    here.keeper.look()
    assert [(stage, type(error)) for stage, error in here.faults] == [("limits", StoreError)]
    with here.store._connection("read") as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO limits")
    here.keeper.look()
    here.keeper.look()
    assert here.store.expired() == {number: 2}
    here.told.orphans = {number: 1}
    here.keeper.close()
    assert here.store.expired() == {number: 3}


def test_closing_gives_back_at_once(here: Here) -> None:
    """Others need not wait for the time of the lease to be over."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    granted = here.keeper.lease({account: 900})[account].amount
    here.keeper.look()
    here.told.spare = {account: granted}
    here.keeper.close()
    assert (here.held(), here.faults) == (0, [])
    assert here.told.asked_at == inf  # also what a call used a moment ago


def test_a_lease_starts_the_thread(here: Here) -> None:
    """From then on somebody looks, without being asked to."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.lease({account: 100})
    give_up = time.monotonic() + 10
    while here.told.expired < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    assert here.told.expired >= 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_lease_starts_a_thread_again_that_an_error_ended(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that no store tells of; the next call that needs more sets it right."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(here.store, "limits_version", lambda: 1 / 0)
        here.keeper.start()
        assert here.keeper._thread is not None
        here.keeper._thread.join(5)
    assert here.told.limits == []
    here.keeper.lease({account: 10})
    deadline = time.monotonic() + 5
    while not here.told.limits and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(here.told.limits) == 1


def test_a_forked_child_is_an_owner_of_its_own(here: Here) -> None:
    """It has neither the parent's thread nor its leases, and its own keeper starts with a lease."""
    account = Account(here.store.save_limit(LIFETIME), "", 0.0)
    here.keeper.lease({account: 100})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            before = here.told.expired
            here.keeper.lease({account: 200})
            give_up = time.monotonic() + 10
            while here.told.expired < before + 2 and time.monotonic() < give_up:
                time.sleep(0.01)
            status = int(here.told.expired < before + 2)
        finally:
            os._exit(status)
    _, code = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(code) == 0
    assert here.store.balances(here.now)[0].owners == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_multiprocessing_worker_gives_back_what_it_held_as_it_ends(tmp_path: Path) -> None:
    """Not a minute later, when its leases are over."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    script = """
import multiprocessing, sys, time
from budget_proxy.assemble import Engine
from budget_proxy.ledger.limits import Limit
from budget_proxy.types import Outcome, Usage
engine = Engine.open(sys.argv[1])
engine.store.save_limit(Limit("output_tokens", 10**6, "lifetime"))
while not engine.limited:
    time.sleep(0.05)
def call():
    body = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    plan = engine.plan(api="openai.chat", body=body)
    engine.settle(plan, Outcome(usage=Usage(5, 7)))
worker = multiprocessing.get_context("fork").Process(target=call)
worker.start()
worker.join()
(balance,) = engine.store.balances(time.time())
print(worker.exitcode, balance.used, balance.held)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, url],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["0", "7", "0"]
