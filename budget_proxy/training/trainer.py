"""The one background worker: it has snapshots fitted, and puts fits in force.

Snapshots are taken and adopted under the engine's lock, within milliseconds; fitting takes
seconds, in a process of its own. Where the history says which row a fit was in force after, the
same rows in the same order give the same forecasts again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import inf
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any, Final

from budget_proxy.errors import StoreError
from budget_proxy.predict.base import Fitting, Refitting, Snapshot
from budget_proxy.store.base import KEPT_FITS, Store
from budget_proxy.training.arrays import packed
from budget_proxy.training.pace import GivenUp, Lock, Pace, paced
from budget_proxy.training.replay import made, replay, restored
from budget_proxy.types import CallRecord, Fit

_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""More are no faster on arrays as small as these, and take the processor from calls."""

_A_CALL: Final = 0.005
"""Seconds, about, that a call takes in here."""

_FEW: Final = 8
"""Outcomes that calls may wait for while a fit that lacks them is put in force."""

_MANY: Final = 4000
"""Outcomes that it is to be told of in a hurry, as it is where they do not become fewer."""

_PATIENCE: Final = 60.0
"""Seconds after which a fit that is given only what nothing else needs is begun again otherwise."""

_LONGEST: Final = 300.0
"""Seconds after which that one is given up."""

_AFTER_A_FAULT: Final = 60.0
"""Seconds until the next try."""


class _NoProcess(Exception):
    """None can be started here."""


class _Settle:
    """The job of learning what the predictor has put off."""


OnFault = Callable[[str, Exception], None]
Row = tuple[str, int]
"""(call id, attempt)."""


class Trainer:
    """Refits ``predictor`` whenever it is due, one fit at a time.

    ``lock`` gives the lock that guards the predictor; ``on_fault`` is told of a fit that
    failed, which changes nothing but that the old one stays.
    """

    def __init__(
        self,
        predictor: Refitting,
        how: Fitting,
        store: Store,
        *,
        lock: Callable[[], Lock],
        on_fault: OnFault,
        now: Callable[[], float],
        instance: str,
    ) -> None:
        self._predictor = predictor
        self._how = how
        self._store = store
        self._lock = lock
        self._on_fault = on_fault
        self._now = now
        self._instance = instance
        self._last: Row = ("", 0)
        self._paused = self._closed = False
        self._patient = True
        self.begin_process()

    def begin_process(self) -> None:
        """What is this process's own; a forked child has none of its parent's threads."""
        self._jobs: SimpleQueue[tuple[Snapshot, Row] | _Settle | None] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    @property
    def rows(self) -> int:
        """How many rows of the history to replay, so that the newest fit's are all among them."""
        return self._predictor.window + 2 * self._predictor.interval

    def learned(self, record: CallRecord) -> None:
        """A row was learned; begin a fit if one is due. The caller holds the lock.

        What the predictor put off is learned beside the calls, unless a fit is being made.
        """
        self._last = (record.call_id, record.attempt)
        if self._paused or self._closed:
            return
        if self._idle.is_set() and self._predictor.behind():
            self._have_done(_Settle())
        self._begin_if_due()

    def replay(self, rows: Sequence[CallRecord], learn: Callable[[CallRecord], None]) -> None:
        """Learn the history again, its newest fit in force from where it was.

        The caller holds the lock. Rows without such a fit (imported ones, say) make one due.
        """
        self._paused = True
        fits = [fit for fit in self._store.fits(self._predictor.name, KEPT_FITS) if fit.content]
        replay(rows, fits[-1:], learn, self._predictor, self._how)
        self._paused = False
        if rows:
            self._begin_if_due()

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until no fit is under way; false if one still is after ``timeout`` seconds."""
        return self._idle.wait(timeout)

    def close(self) -> None:
        """Give up a fit that is under way. Nothing is begun after that."""
        lock = self._lock()
        lock.acquire()  # what is being begun has begun
        try:
            self._closed = True
        finally:
            lock.release()
        self._jobs.put(None)
        child, thread = self._child, self._thread
        if child is not None:
            child.kill()
        if thread is not None:
            thread.join(5.0)

    def _begin_if_due(self) -> None:
        if self._closed or not self._idle.is_set() or not self._predictor.due():
            return
        if monotonic() < self._not_before:
            return
        self._idle.clear()
        self._have_done((self._predictor.snapshot(), self._last))

    def _have_done(self, job: tuple[Snapshot, Row] | _Settle) -> None:
        self._jobs.put(job)
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._work, name="budget-proxy-trainer", daemon=True)
            thread.start()
            self._thread = thread  # not before: close() joins it, maybe in a signal handler

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if isinstance(job, _Settle):
                    self._settle()
                else:
                    self._fit(*job)
        finally:
            self._idle.set()  # also where an error ends this thread: the next job has another

    def _settle(self) -> None:
        """Learn what was put off, part by part, where no call does it before.

        The one that put it off is still under way; so may be the next one, in a crowd.
        """
        sleep(_A_CALL)
        with suppress(GivenUp), paced(self._is_closed) as pace:
            while self._predictor.behind():
                with pace.between(self._lock()):
                    self._predictor.settle()
                pace()

    def _fit(self, snapshot: Snapshot, taken: Row) -> None:
        try:
            content = self._fitted(snapshot)
            with paced(self._is_closed) as pace:
                self._put_in_force(content, snapshot, taken, pace)
        except GivenUp:
            pass
        except (OSError, ValueError, subprocess.SubprocessError, StoreError) as error:
            if not self._closed:
                self._not_before = monotonic() + _AFTER_A_FAULT
                self._on_fault("refit", error)
        finally:
            self._idle.set()

    def _is_closed(self) -> bool:
        return self._closed

    def _put_in_force(self, content: bytes, snapshot: Snapshot, taken: Row, pace: Pace) -> None:
        fitted = restored(content, snapshot, self._how, pace)
        if fitted is None:
            raise ValueError("the process that fits is of another version: restart this one")
        effective, replaced = self._adopted(fitted, pace)
        name = self._predictor.name
        self._store.save_fit(Fit(name, taken, effective, self._now(), self._instance, content))
        for _ in replaced:
            pace()

    def _adopted(self, fitted: Any, pace: Pace) -> tuple[Row, Iterator[None]]:
        """Have it learn what came while it was fitted, beside the calls, and put it in force.

        The row it is in force after, and the steps by which to let go of what it replaces.
        """
        before = inf
        while True:
            with pace.between(self._lock()):
                later = self._predictor.since(fitted)
                if len(later) <= _FEW:
                    return self._last, self._predictor.adopt(fitted)
            if len(later) > min(before, _MANY):
                pace.hurry()
            before = len(later)
            pace.take(fitted.learn(later), self._lock())

    def _fitted(self, snapshot: Snapshot) -> bytes:
        try:
            if self._patient:
                try:
                    return self._by_process(snapshot, _PATIENCE)
                except subprocess.TimeoutExpired:
                    self._patient = False
            return self._by_process(snapshot, _LONGEST)
        except _NoProcess:  # or a frozen program: calls wait a little at times
            with paced(self._is_closed):
                return made(snapshot, self._how)

    def _by_process(self, snapshot: Snapshot, longest: float) -> bytes:
        try:
            child = self._start()
        except OSError as error:
            raise _NoProcess from error
        self._child = child
        try:
            if self._closed:  # before there was a child that could be killed
                child.kill()
            sent = packed(snapshot, self._how.shapes, small=False)
            content, said = child.communicate(sent, timeout=longest)
        finally:
            child.kill()
            child.communicate()
            self._child = None
        if child.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise ValueError(f"the process that fits ended with {child.returncode}: {last}")
        return content

    def _start(self) -> subprocess.Popen[bytes]:
        if getattr(sys, "frozen", False) or not sys.executable:
            raise OSError("this program is no Python interpreter")
        wanted = self._predictor.name, "last" if self._patient else "late"
        # Modules are found where this process finds them, and never in the working directory.
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.Popen(  # noqa: S603 (our own module, by this very interpreter)
            [sys.executable, "-P", "-m", "budget_proxy.training.process", *wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": paths},
            process_group=0,  # not a session: Linux would give it as much as all of ours
        )
