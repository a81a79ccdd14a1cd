"""The one writer of the history: calls queue their rows here and never wait for a disk.

A daemon thread, started by the first row, writes what has gathered: rows at most ``interval``
seconds after the first of them was queued, sessions at once. The same thread asks for other
processes' rows. What a call touches (``put``) takes no lock: it may run in a signal handler
or a destructor that interrupted another ``put``.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum
from queue import Empty, SimpleQueue
from time import monotonic

from budget_proxy.errors import StoreError
from budget_proxy.ledger.runs import RunBudget
from budget_proxy.store.backlog import Backlog, Listener, OnFault, Price
from budget_proxy.store.base import Complete, Store
from budget_proxy.store.foreign import Foreign
from budget_proxy.types import CallRecord, Session


class _Signal(Enum):
    ROWS = 1
    SESSION = 2
    NOW = 3
    STOP = 4


class Recorder:
    """The Journal of an engine: a queue before ``store``, and the thread that empties it.

    ``price`` completes a row before it is written (in the writer's thread; a row that it
    fails on is written as it came). ``on_fault(stage, error)`` is told of everything that
    went wrong, ``on_stored`` of rows written (with their ids), ``on_foreign`` of other
    instances' rows, in order of id, ``on_late`` of rows that a late answer has replaced; none
    of the four may raise. Rows are stamped with
    ``instance``. While the store is broken at most ``limit`` rows wait for it, and as many late
    answers; beyond that the oldest are dropped and counted in ``dropped``. A late answer whose
    row is not there is tried again ``poll`` seconds later, a few times (store/late.py); nobody
    waits for that. A forked child starts empty, under an instance name of its own.
    """

    _rows: deque[CallRecord]
    _late: deque[tuple[str, Complete]]
    _sessions: deque[tuple[Session | RunBudget, Future[None]]]
    _signals: SimpleQueue[_Signal | Future[bool]]
    _starting: threading.RLock
    _thread: threading.Thread | None
    _announced: bool
    _waiting_since: float
    _called: bool
    _overflow: int

    def __init__(
        self,
        store: Store,
        *,
        on_fault: OnFault,
        instance: str,
        price: Price | None = None,
        on_foreign: Listener | None = None,
        on_stored: Listener | None = None,
        on_late: Listener | None = None,
        interval: float = 0.05,
        poll: float = 1.0,
        limit: int = 100_000,
    ) -> None:
        self.instance = instance
        self.dropped = 0
        self._origin = instance
        self._store = store
        self._on_fault = on_fault
        self._on_foreign = on_foreign
        self._interval = interval
        self._poll = poll
        self._limit = limit
        self._closed = False
        self._foreign: Foreign | None = None
        self._backlog = Backlog(
            store,
            price=price,
            on_fault=on_fault,
            on_stored=on_stored,
            on_late=on_late,
            limit=limit,
            every=poll,
        )
        self._empty()
        _recorders.add(self)

    def put(self, record: CallRecord) -> None:
        """Queue a row. Never blocks and never raises."""
        if self._closed:
            self._drop(1, "it came after the history had been closed")
            return
        if len(self._rows) >= self._limit:  # the oldest falls out; the writer tells of it
            self._overflow += 1
        self._rows.append(record)
        self._announce()

    def settle_late(self, response: str, complete: Complete) -> None:
        """Queue the replacement of a pending row. Never blocks and never raises."""
        if self._closed:
            self._drop(1, "it came after the history had been closed")
            return
        if len(self._late) >= self._limit:
            self._overflow += 1
        self._late.append((response, complete))
        self._announce()

    def put_session(self, session: Session) -> Future[None]:
        """Queue a session, to be written at once; done when it is on disk, or a StoreError."""
        return self._put_given(session)

    def put_run(self, budget: RunBudget) -> Future[None]:
        """Queue what a run is given, likewise."""
        return self._put_given(budget)

    def _put_given(self, given: Session | RunBudget) -> Future[None]:
        ticket: Future[None] = Future()
        if self._closed:
            ticket.set_exception(StoreError("the history has been closed"))
            return ticket
        self._sessions.append((given, ticket))
        if not self._called:  # else more signals would queue than saves can be made
            self._called = True
            self._signals.put(_Signal.SESSION)
        if self._thread is None:
            self._start()
        return ticket

    def start_polling(self, after: int) -> None:
        """From now on hand on other instances' rows with an id above ``after``."""
        if self._on_foreign is None:
            return
        self._foreign = Foreign(
            self._store, self._on_foreign, on_fault=self._on_fault, every=self._poll, after=after
        )
        self._start()
        self._signals.put(_Signal.NOW)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything queued so far is on disk; false if it is not after ``timeout``."""
        if self._closed or (self._thread is None and not self._unwritten()):
            return not self._unwritten()
        self._start()
        thread = self._thread
        if thread is None or not thread.is_alive():  # the interpreter ends, or a signal came
            self._cycle((), last=True)  # while the thread was being started
            return not self._unwritten()
        done: Future[bool] = Future()
        self._signals.put(done)
        try:
            return done.result(timeout)
        except TimeoutError:
            return False

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued, stop the thread, close the store. Rows put later are dropped."""
        if self._closed:
            return
        self.flush(timeout)
        self._closed = True
        thread = self._thread
        if thread is not None:
            self._signals.put(_Signal.STOP)
            if thread.is_alive():  # it is not yet where a signal came while it was being started
                thread.join(timeout)
        if self._unwritten():
            self._drop(self._unwritten(), "the history could not be written before it was closed")
        self._store.close()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._waiting_since = monotonic()
            self._signals.put(_Signal.ROWS)
        if self._thread is None:
            self._start()

    def _run(self) -> None:
        try:
            stop = False
            while not stop:
                waiting, stop = self._wait()
                self._cycle(waiting, last=stop)
        finally:  # should a listener raise against its promise, the next row starts anew
            self._announced = self._called = False
            self._thread = None

    def _wait(self) -> tuple[Sequence[Future[bool]], bool]:
        """Sleep until something is due: who waits for a flush, and whether to stop.

        Sessions are written meanwhile: each in a transaction of its own would be no gain to
        the rows, which can wait for others. But not for ever: while sessions keep coming the
        queue is never empty, so the clock is looked at here too.
        """
        due = self._due()
        while True:
            try:
                left = None if due is None else max(due - monotonic(), 0.0)
                signal = self._signals.get(timeout=left)
            except Empty:
                return (), False
            if isinstance(signal, Future):
                return (signal,), False
            if signal is _Signal.SESSION:
                self._save_sessions()
                if due is not None and monotonic() >= due:
                    return (), False
                continue
            if signal is not _Signal.ROWS:
                return (), signal is _Signal.STOP
            soon = self._waiting_since + self._interval
            due = soon if due is None else min(due, soon)

    def _due(self) -> float | None:
        times = (self._backlog.due, self._foreign.due if self._foreign is not None else None)
        return min((time for time in times if time is not None), default=None)

    def _cycle(self, waiting: Sequence[Future[bool]], *, last: bool) -> None:
        written = False
        try:
            self._announced = False  # before rows are taken: later ones announce themselves
            self._save_sessions()
            self._take()
            if waiting or last or monotonic() >= self._backlog.retry_at:
                self.dropped += self._backlog.write()
            written = not self._backlog
        finally:
            for done in waiting:
                done.set_result(written)
        if self._foreign is not None and not last:
            self._foreign.ask(self.instance, self._backlog.last)

    def _save_sessions(self) -> None:
        self._called = False  # before sessions are taken, as with rows
        taken: list[tuple[Session | RunBudget, Future[None]]] = []
        while self._sessions:
            taken.append(self._sessions.popleft())
        if not taken:
            return
        for _, ticket in taken:
            ticket.set_running_or_notify_cancel()
        failure: StoreError | None = StoreError("the session was not written")
        try:
            self._store.save_sessions([one for one, _ in taken if isinstance(one, Session)])
            self._store.save_runs([one for one, _ in taken if isinstance(one, RunBudget)])
            failure = None
        except (StoreError, ValueError) as error:
            failure = error if isinstance(error, StoreError) else StoreError(str(error))
            self._on_fault("store", failure)
        finally:
            for _, ticket in taken:
                _resolve(ticket, failure)

    def _take(self) -> None:
        """Move the queued rows to the backlog; drop what is too much."""
        while self._rows:
            self._backlog.add(self._rows.popleft(), self.instance)
        while self._late:
            self._backlog.add_late(*self._late.popleft(), self.instance)
        lost, self._overflow = self._overflow + self._backlog.trim(), 0
        if lost:
            self._drop(lost, "too many waited for a broken store")

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        self._on_fault("dropped", StoreError(f"{count} rows of the history were dropped: {why}"))

    def waiting(self) -> list[CallRecord]:
        """The rows that wait to be written, as far as another thread can tell."""
        return [*self._backlog.waiting(), *self._rows.copy()]

    def _unwritten(self) -> int:
        queued = len(self._rows) + len(self._late) + len(self._sessions)
        return queued + len(self._backlog)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="budget-proxy-recorder", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending
                self._thread = None
                self._on_fault("store", error)
            else:
                _flush_when_a_worker_ends()

    def _empty(self) -> None:
        self._rows = deque(maxlen=self._limit)
        self._late = deque(maxlen=self._limit)
        self._sessions = deque()
        self._signals = SimpleQueue()
        self._starting = threading.RLock()
        self._thread = None
        self._announced = self._called = False
        self._waiting_since = 0.0
        self._overflow = 0

    def _renew(self) -> None:
        """Begin anew in a forked child: what waits is the parent's to write."""
        self._empty()
        self._backlog.clear()
        self.instance = f"{self._origin}-{os.getpid()}"


def _resolve(ticket: Future[None], failure: StoreError | None) -> None:
    if ticket.cancelled():
        return
    if failure is None:
        ticket.set_result(None)
    else:
        ticket.set_exception(failure)


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def flush_all(timeout: float = 5.0) -> bool:
    """Flush every recorder of this process; false if rows of one could not be written."""
    flushed = [recorder.flush(timeout) for recorder in list(_recorders)]
    return all(flushed)


def _renew_all() -> None:
    for recorder in list(_recorders):
        recorder._renew()  # noqa: SLF001 (the module's own class)


def _flush_when_a_worker_ends() -> None:
    """Have multiprocessing flush: its forked workers end without atexit."""
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        multiprocessing.Finalize(None, flush_all, exitpriority=0)


atexit.register(flush_all)
with suppress(AttributeError):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_all)
