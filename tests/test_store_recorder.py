from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.errors import StoreError
from budget_proxy.store.base import Complete
from budget_proxy.store.late import LOOKS
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.recorder import Recorder
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord, Session
from tests.makers import record, session


class Flaky(MemoryStore):
    """A store that breaks and heals on command, and keeps the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.batches: list[int] = []
        self.looked: list[str] = []

    def append(self, records: Sequence[CallRecord]) -> list[int]:
        """Refuse everything while broken, and a row of the agent "odd" always."""
        if self.broken:
            raise StoreError("broken")
        if any(row.agent == "odd" for row in records):
            raise ValueError("odd")
        self.batches.append(len(records))
        return super().append(records)

    def save_sessions(self, sessions: Sequence[Session]) -> None:
        """Refuse everything while broken."""
        if self.broken:
            raise StoreError("broken")
        super().save_sessions(sessions)

    def settle_late(self, response: str, complete: Complete) -> CallRecord | None:
        """Refuse everything while broken; note what was looked for."""
        if self.broken:
            raise StoreError("broken")
        self.looked.append(response)
        return super().settle_late(response, complete)


class Faults(list[tuple[str, str]]):
    """Stage and words of every fault that was told."""

    def __call__(self, stage: str, error: Exception) -> None:
        """Take one down."""
        self.append((stage, str(error)))


@pytest.fixture
def store() -> Flaky:
    """A store in memory that can be broken."""
    return Flaky()


@pytest.fixture
def faults() -> Faults:
    """Where the recorder's faults go."""
    return Faults()


@pytest.fixture
def make(store: Flaky, faults: Faults) -> Iterator[Any]:
    """Open recorders on the store, and close them afterwards."""
    opened: list[Recorder] = []

    def maker(**given: Any) -> Recorder:
        facts: dict[str, Any] = {"on_fault": faults, "instance": "i1", **given}
        opened.append(Recorder(facts.pop("store", store), **facts))
        return opened[-1]

    yield maker
    store.broken = False
    for recorder in opened:
        recorder.close()


def soon(condition: Any, seconds: float = 5.0) -> bool:
    """Wait until something holds, or not much longer."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())


def settle(row: CallRecord) -> CallRecord:
    """Make of a pending row a settled one."""
    return replace(row, pending=False)


def test_no_thread_before_the_first_row(make: Any) -> None:
    """A recorder that is never used costs no thread."""
    before = threading.active_count()
    recorder = make()
    assert recorder.flush()
    assert threading.active_count() == before
    recorder.put(record())
    assert threading.active_count() == before + 1


def test_rows_are_written_soon_and_in_batches(make: Any, store: Flaky) -> None:
    """Rows that come together are written together, in order, each time and without asking."""
    recorder = make()
    for wave in (1, 2, 3):
        for n in range(200):
            recorder.put(record(output_tokens=n))
        assert soon(lambda done=wave * 200: len(store.recent(999)) == done)
    assert [row.output_tokens for row in store.recent(999)] == list(range(200)) * 3
    assert len(store.batches) <= 9


def test_a_late_answer_follows_the_row_that_it_replaces(make: Any, store: Flaky) -> None:
    """Both may be queued at once; whoever learns is told of the new row, priced and stamped."""
    told: list[CallRecord] = []
    price = partial(replace, cost=0.5)
    recorder = make(on_late=told.extend, price=price)
    recorder.put(record(response_id="r", pending=True, instance="other"))
    recorder.settle_late("r", lambda row: replace(row, pending=False, instance="other"))
    recorder.settle_late("r", lambda row: replace(row, output_tokens=0))
    assert recorder.flush()
    settled = record(response_id="r", cost=0.5, instance="i1", id=2)
    assert store.recent(9) == told == [settled]


def test_late_answers_wait_for_a_broken_store(make: Any, store: Flaky, faults: Faults) -> None:
    """They are kept like rows, behind these, and written when it has healed."""
    recorder = make()
    store.broken = True
    recorder.put(record(response_id="r", pending=True))
    recorder.settle_late("r", settle)
    assert not recorder.flush()
    assert ("store", "broken") in faults
    store.broken = False
    assert recorder.flush()
    assert [row.pending for row in store.recent(9)] == [False]


def test_a_late_answer_that_cannot_be_stored_is_told_of(
    make: Any, store: Flaky, faults: Faults
) -> None:
    """It is left out, its row stays an estimate, and those behind it are written."""
    recorder = make()
    for name in "ab":
        recorder.put(record(response_id=name, pending=True))

    def odd(_: CallRecord) -> CallRecord:
        raise ValueError("odd")

    recorder.settle_late("a", odd)
    recorder.settle_late("b", settle)
    assert recorder.flush()
    assert faults == [("row", "odd")]
    assert recorder.dropped == 0
    assert [(row.response_id, row.pending) for row in store.recent(9)] == [
        ("a", True), ("b", False),
    ]  # fmt: skip


def test_after_the_end_late_answers_change_nothing(make: Any, store: Flaky) -> None:
    """Their rows stay estimates, and nothing is raised."""
    recorder = make()
    recorder.put(record(response_id="r", pending=True))
    recorder.close()
    recorder.settle_late("r", settle)
    assert [row.pending for row in store.recent(9)] == [True]
    assert recorder.dropped == 1


def test_a_late_answer_waits_for_the_row_of_another_instance(
    make: Any, store: Flaky, faults: Faults
) -> None:
    """It is looked for again until it is there, also after a time in which the store was broken."""
    told: list[CallRecord] = []
    one, other = make(), make(instance="i2", poll=0.5, on_late=told.extend)
    other.settle_late("r", settle)
    assert soon(lambda: store.looked)
    store.broken = True
    assert soon(lambda: ("store", "broken") in faults)
    assert other.flush()  # there is nothing that could be written
    store.broken = False
    one.put(record(response_id="r", pending=True))
    assert one.flush()
    assert soon(lambda: told)
    assert store.recent(9) == told == [record(response_id="r", instance="i2", id=2)]
    assert other.dropped == 0


def test_a_row_that_is_never_there_is_looked_for_a_few_times(make: Any, store: Flaky) -> None:
    """Then its answer is given up, and the writer sleeps; it is no loss of ours."""
    recorder = make(poll=0.01)
    for _ in range(3):
        recorder.settle_late("nobody's", settle)
    assert recorder.flush()
    assert soon(lambda: len(store.looked) == LOOKS + 2)  # of the three but one is kept
    time.sleep(0.1)
    assert len(store.looked) == LOOKS + 2
    assert recorder.dropped == 0


def test_nobody_waits_for_a_row_that_is_not_there(make: Any, store: Flaky, faults: Faults) -> None:
    """Neither a flush nor the end does."""
    recorder = make(poll=60.0)
    recorder.settle_late("r", settle)
    assert recorder.flush()
    recorder.close()
    assert store.looked == ["r"]
    assert (recorder.dropped, faults) == (0, [])


@pytest.mark.parametrize("flushed", [8, 25])
def test_beyond_the_limit_late_answers_are_dropped_and_counted(
    make: Any, store: Flaky, faults: Faults, flushed: int
) -> None:
    """Be it before the writer has taken them or after; the newest are kept."""
    recorder = make(limit=10, interval=60.0)
    for n in range(25):
        recorder.put(record(response_id=f"r{n}", pending=True))
        recorder.flush()
    store.broken = True
    for n in range(flushed):
        recorder.settle_late(f"r{n}", settle)
    recorder.flush()
    for n in range(flushed, 25):
        recorder.settle_late(f"r{n}", settle)
    recorder.flush()
    store.broken = False
    assert recorder.flush()
    pending = [row.response_id for row in store.recent(99) if row.pending]
    assert pending == [f"r{n}" for n in range(15)]
    assert recorder.dropped == 15
    assert any(stage == "dropped" for stage, _ in faults)


def test_a_slow_trickle_does_not_put_off_the_first_row(make: Any, store: Flaky) -> None:
    """The interval counts from the first row that waits, not from the last."""
    recorder = make(interval=0.15)
    start = time.monotonic()
    while not store.recent(1) and time.monotonic() < start + 5:
        recorder.put(record())
        time.sleep(0.02)
    assert 0.14 <= time.monotonic() - start < 1.0


def test_what_came_while_the_writer_was_busy_waits_no_longer(make: Any, store: Flaky) -> None:
    """Its time runs from when it was queued, not from when the writer looks."""
    began: list[float] = []
    ended: list[float] = []
    append = store.append

    def slow(records: Sequence[CallRecord]) -> list[int]:
        began.append(time.monotonic())
        if not ended:
            time.sleep(1.2)
        ended.append(time.monotonic())
        return append(records)

    store.append = slow  # type: ignore[method-assign]
    recorder = make(interval=1.0)
    recorder.put(record())
    assert soon(lambda: began)
    recorder.put(record())
    assert soon(lambda: len(began) == 2)
    assert began[1] - ended[0] < 0.5


def test_flush_waits_for_everything_queued(make: Any, store: Flaky) -> None:
    """After a flush all rows put before it can be read."""
    recorder = make(interval=60.0)
    for n in range(1234):
        recorder.put(record(output_tokens=n))
    assert recorder.flush()
    assert len(store.recent(9999)) == 1234
    assert recorder.flush()


def test_rows_of_many_threads_all_arrive(make: Any, store: Flaky) -> None:
    """Eight threads that put at once lose nothing, and each one's order holds."""
    recorder = make(interval=0.01)

    def put(name: str) -> None:
        for n in range(300):
            recorder.put(record(agent=name, output_tokens=n))

    threads = [threading.Thread(target=put, args=(f"t{k}",)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush()
    for k in range(8):
        assert [row.output_tokens for row in store.calls(agent=f"t{k}")] == list(range(300))


def test_rows_are_stamped_and_told_of(make: Any, store: Flaky) -> None:
    """A stored row carries the instance and its id, and so does what the listener is told."""
    told: list[CallRecord] = []
    recorder = make(on_stored=told.extend)
    recorder.put(record(instance="somebody"))
    assert recorder.flush()
    assert store.recent(1) == told
    assert (told[0].id, told[0].instance) == (1, "i1")


def test_a_session_is_written_at_once(make: Any, store: Flaky) -> None:
    """Its ticket is done long before rows would be written, and it can then be found."""
    recorder = make(interval=60.0)
    ticket = recorder.put_session(session(id="s7"))
    assert ticket.result(timeout=5) is None
    found = store.session("k")
    assert found is not None
    assert found.id == "s7"


def test_rows_are_written_while_sessions_keep_coming(
    make: Any, store: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither rows, nor other instances' rows, nor a flush wait for a pause; batches stay large."""
    healthy = store.save_sessions
    heard: list[CallRecord] = []
    recorder = make(interval=0.05, poll=0.05, on_foreign=heard.extend)
    saves = 0

    def save(sessions: Sequence[Session]) -> None:  # when these are saved more are there already
        nonlocal saves
        saves += 1
        for n in range(3):
            recorder.put_session(session(id=f"{saves}/{n}"))
        recorder.put(record())
        time.sleep(0.002)
        healthy(sessions)

    with monkeypatch.context() as busy:
        busy.setattr(store, "save_sessions", save)
        recorder.start_polling(after=0)
        store.append([record(instance="other")])
        store.batches.clear()
        recorder.put_session(session())
        assert soon(lambda: len(store.batches) > 3 and heard)
        batches = list(store.batches)
        assert sum(batches) > 2 * len(batches)
        assert soon(lambda: saves > 200)
        before = saves
        assert recorder.flush()
        assert saves < before + 200
    assert recorder.flush()
    assert len(store.recent(99_999)) == saves + 1


def test_a_session_that_is_not_written_fails_its_ticket(
    make: Any, store: Flaky, faults: Faults
) -> None:
    """Who waits for a session on disk learns that it is not there; the next one is tried anew."""
    recorder = make()
    store.broken = True
    with pytest.raises(StoreError, match="broken"):
        recorder.put_session(session()).result(timeout=5)
    assert ("store", "broken") in faults
    store.broken = False
    assert recorder.put_session(session()).result(timeout=5) is None


def test_a_cancelled_ticket_harms_nothing(make: Any, store: Flaky) -> None:
    """A caller that gave up waiting does not stop the writer."""
    recorder = make()
    tickets = [recorder.put_session(session(id=f"s{n}")) for n in range(50)]
    for ticket in tickets:
        ticket.cancel()
    recorder.put(record())
    assert recorder.flush()
    assert store.counts()["sessions"] == 50


def test_a_ticket_cannot_be_cancelled_while_it_is_written(
    make: Any, store: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Giving up at the worst moment neither stops the writer nor tells a lie."""
    begun, go_on = threading.Event(), threading.Event()
    healthy = store.save_sessions

    def save(sessions: Sequence[Session]) -> None:
        begun.set()
        go_on.wait(5)
        healthy(sessions)

    monkeypatch.setattr(store, "save_sessions", save)
    ticket = make().put_session(session())
    assert begun.wait(5)
    assert not ticket.cancel()
    go_on.set()
    assert ticket.result(timeout=5) is None


def test_rows_outlast_a_broken_store(make: Any, store: Flaky, faults: Faults) -> None:
    """Rows put while the store is broken are kept and written, in order, when it has healed."""
    recorder = make(interval=0.01)
    store.broken = True
    recorder.put(record(output_tokens=1))
    assert soon(lambda: ("store", "broken") in faults)
    recorder.put(record(output_tokens=2))
    assert not recorder.flush()
    assert [row.output_tokens for row in recorder.waiting()] == [1, 2]
    store.broken = False
    assert soon(lambda: len(store.recent(9)) == 2)
    assert [row.output_tokens for row in store.recent(9)] == [1, 2]
    assert (recorder.dropped, recorder.waiting()) == (0, [])


def test_a_broken_store_is_not_hammered(make: Any, store: Flaky, faults: Faults) -> None:
    """Tries of a broken store get rarer: at 0.2, 0.6 and 1.4 s after the first, whatever comes."""
    recorder = make(interval=0.01)
    store.broken = True
    end = time.monotonic() + 0.9
    while time.monotonic() < end:
        recorder.put(record())
        time.sleep(0.005)
    assert 1 <= sum(stage == "store" for stage, _ in faults) <= 3


def test_beyond_the_limit_the_oldest_rows_are_dropped(
    make: Any, store: Flaky, faults: Faults
) -> None:
    """Memory is bounded while the store is broken; what is lost is counted and told."""
    recorder = make(limit=10, interval=0.01)
    store.broken = True
    for n in range(8):
        recorder.put(record(output_tokens=n))
    recorder.flush()
    for n in range(8, 25):
        recorder.put(record(output_tokens=n))
    recorder.flush()
    store.broken = False
    assert recorder.flush()
    assert [row.output_tokens for row in store.recent(99)] == list(range(15, 25))
    assert recorder.dropped == 15
    assert any(stage == "dropped" for stage, _ in faults)


def test_a_row_that_cannot_be_stored_takes_no_other_with_it(
    make: Any, store: Flaky, faults: Faults
) -> None:
    """The odd row is dropped and told of, its neighbours are written."""
    recorder = make()
    for agent in ("a", "odd", "b", "odd", "c"):
        recorder.put(record(agent=agent))
    assert recorder.flush()
    assert [row.agent for row in store.recent(9)] == ["a", "b", "c"]
    assert recorder.dropped == 2
    assert [stage for stage, _ in faults].count("row") == 2


def test_rows_are_priced_before_they_are_written(make: Any, store: Flaky) -> None:
    """The price list is asked in the writer's thread, not in the call's."""
    asked_in = set()

    def price(row: CallRecord) -> CallRecord:
        asked_in.add(threading.current_thread().name)
        return replace(row, cost=0.5)

    recorder = make(price=price)
    recorder.put(record())
    assert recorder.flush()
    assert store.recent(1)[0].cost == 0.5
    assert asked_in == {"budget-proxy-recorder"}


def test_a_row_without_a_price_is_written_without_cost(
    make: Any, store: Flaky, faults: Faults
) -> None:
    """A price list that stumbles over a row costs that row its price alone."""

    def price(row: CallRecord) -> CallRecord:
        if row.model == "unknown":
            raise LookupError("no such model")
        return replace(row, cost=1.0)

    recorder = make(price=price)
    recorder.put(record(model="unknown"))
    recorder.put(record())
    assert recorder.flush()
    assert [row.cost for row in store.recent(9)] == [None, 1.0]
    assert ("price", "no such model") in faults


def test_a_writer_that_dies_is_replaced(
    make: Any, store: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A price list that raises against its promise loses no row: the next one starts anew."""

    def price(row: CallRecord) -> CallRecord:
        if row.model == "deadly":
            raise RuntimeError("against the promise")
        return row

    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    recorder = make(price=price)
    recorder.put(record(model="deadly"))
    assert soon(lambda: told == [RuntimeError])
    recorder.put(record())
    assert soon(lambda: len(store.recent(9)) == 2)
    assert [row.model for row in store.recent(9)] == ["deadly", "gpt-5.4"]


def test_after_close_nothing_raises(make: Any, store: Flaky, faults: Faults) -> None:
    """A late row is counted as dropped, a late session fails its ticket, closing twice is fine."""
    recorder = make()
    recorder.put(record())
    recorder.close()
    assert len(store.recent(9)) == 1
    recorder.put(record())
    recorder.close()
    assert recorder.dropped == 1
    assert faults[-1][0] == "dropped"
    assert recorder.put_session(session()).exception(timeout=1) is not None
    assert recorder.flush()
    assert len(store.recent(9)) == 1


def test_close_tells_what_it_could_not_write(make: Any, store: Flaky, faults: Faults) -> None:
    """Rows that a broken store did not take are counted when the recorder ends."""
    recorder = make()
    store.broken = True
    for _ in range(3):
        recorder.put(record())
    recorder.close()
    assert recorder.dropped == 3
    stage, words = faults[-1]
    assert stage == "dropped"
    assert words.startswith("3 rows of the history were dropped: the history could not be written")


def test_other_instances_rows_are_handed_on_once(tmp_path: Path, make: Any) -> None:
    """Each foreign row after the cursor comes once, in order of id; our own never."""
    mine = SQLiteStore(tmp_path / "history.db")
    mine.migrate()
    mine.append([record(instance="other", call_id="before")])
    theirs = SQLiteStore(mine.path)
    heard: list[int | None] = []

    def hear(rows: list[CallRecord]) -> None:
        heard.extend(row.id for row in rows)

    recorder = make(store=mine, poll=0.02, interval=0.01, on_foreign=hear)
    recorder.start_polling(after=1)
    written: list[int] = []
    for n in range(30):
        recorder.put(record(call_id=f"mine{n}"))
        written += theirs.append([record(instance="other")] * 3)
        time.sleep(0.005)
    assert soon(lambda: len(heard) >= 90)
    time.sleep(0.1)
    assert heard == written
    recorder.close()
    theirs.close()


def test_a_long_history_of_others_comes_in_pieces(make: Any, store: Flaky) -> None:
    """More foreign rows than one piece all come, and our own rows are written in between."""
    store.append([record(instance="other")] * 1700)
    pieces: list[int] = []
    recorder = make(poll=0.01, on_foreign=lambda rows: pieces.append(len(rows)))
    recorder.start_polling(after=0)
    assert soon(lambda: sum(pieces) >= 1700)
    time.sleep(0.05)  # time for a row to come again, if it did
    assert pieces == [500, 500, 500, 200]


def test_our_own_rows_are_not_read_over_and_over(make: Any, store: Flaky) -> None:
    """Where nobody else writes, each poll begins after the newest of our own rows."""
    asked: list[int] = []
    healthy = store.since

    def since(row: int, **given: Any) -> list[CallRecord]:
        asked.append(row)
        return healthy(row, **given)

    store.since = since  # type: ignore[method-assign]
    recorder = make(poll=0.01, on_foreign=lambda _: None)
    recorder.start_polling(after=0)
    for _ in range(100):
        recorder.put(record())
    assert recorder.flush()
    assert soon(lambda: asked[-1:] == [100])


def test_rows_that_wait_do_not_put_off_polling(make: Any, store: Flaky) -> None:
    """Other instances' rows come in their time, however long our own may wait."""
    heard: list[CallRecord] = []
    recorder = make(poll=0.02, interval=60.0, on_foreign=heard.extend)
    recorder.start_polling(after=0)
    recorder.put(record())
    store.append([record(instance="other")])
    assert soon(lambda: len(heard) == 1)


def test_polling_goes_on_when_the_store_fails(make: Any, store: Flaky, faults: Faults) -> None:
    """A poll that fails is told of and tried again."""
    heard: list[CallRecord] = []
    healthy = store.since

    def since(*_args: Any, **_kwargs: Any) -> list[CallRecord]:
        raise StoreError("no read")

    recorder = make(poll=0.01, on_foreign=heard.extend)
    store.since = since  # type: ignore[method-assign]
    recorder.start_polling(after=0)
    store.append([record(instance="other")])
    assert soon(lambda: ("poll", "no read") in faults)
    store.since = healthy  # type: ignore[method-assign]
    assert soon(lambda: len(heard) == 1)


def test_put_is_cheap(make: Any) -> None:
    """Queueing a row takes less than 5 us of the call, its writing not counted."""
    recorder = make(interval=60.0)
    row = record()
    recorder.put(row)
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(200):
            recorder.put(row)
        best = min(best, (time.perf_counter() - start) / 200)
    assert recorder._signals.qsize() <= 1  # and it does not wake the writer for each row
    assert best < 5e-6


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has a recorder on the history named by its first argument."""
    head = """
import os, sys, time
from budget_proxy.store import open_store
from budget_proxy.store.recorder import Recorder
from budget_proxy.types import CallRecord, Session
def row(name):
    return CallRecord(ts=1.0, api="a", model="m", call_id=name)
def fault(stage, error):
    print("fault", stage, error, file=sys.stderr)
recorder = Recorder(open_store(sys.argv[1]), on_fault=fault, instance="i", interval=30.0)
"""
    return subprocess.run(
        [sys.executable, "-c", head + script, *arguments],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip


@pytest.fixture
def history(tmp_path: Path) -> Iterator[SQLiteStore]:
    """A history in a file that other processes can write."""
    opened = SQLiteStore(tmp_path / "history.db")
    opened.migrate()
    yield opened
    opened.close()


def test_rows_are_flushed_at_exit(history: SQLiteStore) -> None:
    """A program that just ends has written its rows."""
    run("for n in range(1000): recorder.put(row(str(n)))", history.url)
    assert [found.call_id for found in history.recent(9999)] == [str(n) for n in range(1000)]


def test_rows_put_while_the_program_ends_are_written(history: SQLiteStore) -> None:
    """A row that another exit handler queues first of all is written, too."""
    run("import atexit; atexit.register(lambda: recorder.put(row('late')))", history.url)
    assert [found.call_id for found in history.recent(9)] == ["late"]


def test_a_forked_child_starts_empty(history: SQLiteStore) -> None:
    """The parent's queue is the parent's to write; parent and child each write their own rows."""
    run(
        """
for n in range(50):
    recorder.put(row("parent"))
    recorder.put_session(Session("k", str(n), "treatment", 1.0, 1.0))
pid = os.fork()
recorder.put(row("child" if pid == 0 else "parent"))
assert recorder.flush()
if pid == 0:
    os._exit(0)
sys.exit(os.waitpid(pid, 0)[1])
""",
        history.url,
    )
    rows = history.recent(999)
    assert sum(found.call_id == "parent" for found in rows) == 51
    assert sum(found.call_id == "child" for found in rows) == 1
    assert len({found.instance for found in rows}) == 2
    assert history.counts()["sessions"] == 50


def test_a_fork_while_locks_are_held_does_not_deadlock(history: SQLiteStore) -> None:
    """Children forked amid busy threads can put and flush."""
    run(
        """
import threading
def busy():
    for n in range(3000):
        recorder.put(row("parent"))
        if n % 100 == 0:
            recorder.flush()
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        recorder.put(row("child"))
        os._exit(0 if recorder.flush() else 1)
    children.append(pid)
    time.sleep(0.01)
for thread in threads:
    thread.join()
sys.exit(sum(os.waitpid(pid, 0)[1] for pid in children))
""",
        history.url,
    )
    assert len(list(history.calls(call_id="parent"))) == 9000
    assert len(list(history.calls(call_id="child"))) == 5


def test_a_forked_multiprocessing_worker_flushes_as_it_ends(history: SQLiteStore) -> None:
    """A worker writes its last rows, though multiprocessing ends it without exit handlers."""
    run(
        """
import multiprocessing
worker = multiprocessing.get_context("fork").Process(target=lambda: recorder.put(row("worker")))
worker.start()
worker.join()
sys.exit(worker.exitcode)
""",
        history.url,
    )
    assert [found.call_id for found in history.recent(9)] == ["worker"]
