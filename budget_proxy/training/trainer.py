"""The one background worker: it has snapshots fitted, and puts fits in force.

Snapshots are taken and adopted under the engine's lock, within milliseconds; fitting takes
seconds, in a process of its own. Where the history says which row a fit was in force after, the
same rows in the same order give the same forecasts again.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any, Final

from budget_proxy.errors import StoreError
from budget_proxy.predict.base import Fitting, Refitting, Snapshot
from budget_proxy.store.base import KEPT_FITS, Store
from budget_proxy.training.arrays import packed
from budget_proxy.training.replay import made, replay, restored
from budget_proxy.types import CallRecord, Fit

_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""More are no faster on arrays as small as these, and take the processor from calls."""

_FEW: Final = 8
"""Outcomes that are learned at a time; a fit that lacks fewer is put in force."""

_BREATH: Final = 0.001
"""Seconds for calls between."""

_LONGEST: Final = 300.0
"""Seconds after which a fit is given up."""

_AFTER_A_FAULT: Final = 60.0
"""Seconds until the next try."""


_TURN: Final = 0.0005
"""Seconds after which a thread that waits for its turn gets it; Python's own are ten times that."""


@contextmanager
def _beside_calls() -> Iterator[None]:
    """Make many values at once, and let calls go on.

    No search for garbage among all others: it takes a tenth of a second where a program has much
    in memory, and would find nothing. And turns are short: calls wait for their next one. Whoever
    changed either puts it back, so that several engines in one process agree.
    """
    collected, turn = gc.isenabled(), sys.getswitchinterval()
    if collected:
        gc.disable()
    if turn > _TURN:
        sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        if turn > _TURN:
            sys.setswitchinterval(turn)
        if collected:
            gc.enable()


class _Settle:
    """The job of learning what the predictor has put off."""


Locked = Callable[[], AbstractContextManager[Any]]
OnFault = Callable[[str, Exception], None]
Row = tuple[str, int]
"""(call id, attempt)."""


class Trainer:
    """Refits ``predictor`` whenever it is due, one fit at a time.

    ``locked`` gives the lock that guards the predictor; ``on_fault`` is told of a fit that
    failed, which changes nothing but that the old one stays.
    """

    def __init__(
        self,
        predictor: Refitting,
        how: Fitting,
        store: Store,
        *,
        locked: Locked,
        on_fault: OnFault,
        now: Callable[[], float],
        instance: str,
    ) -> None:
        self._predictor = predictor
        self._how = how
        self._store = store
        self._locked = locked
        self._on_fault = on_fault
        self._now = now
        self._instance = instance
        self._last: Row = ("", 0)
        self._paused = self._closed = False
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
        self._closed = True
        self._jobs.put(None)
        child = self._child
        if child is not None:
            child.kill()
        if self._thread is not None:
            self._thread.join(5.0)

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
            self._thread = threading.Thread(
                target=self._work, name="budget-proxy-trainer", daemon=True
            )
            self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if isinstance(job, _Settle):
                with self._locked():
                    self._predictor.settle()
                continue
            snapshot, taken = job
            try:
                self._put_in_force(self._fitted(snapshot), snapshot, taken)
            except (OSError, ValueError, subprocess.SubprocessError, StoreError) as error:
                if not self._closed:
                    self._not_before = monotonic() + _AFTER_A_FAULT
                    self._on_fault("refit", error)
            finally:
                self._idle.set()

    def _put_in_force(self, content: bytes, snapshot: Snapshot, taken: Row) -> None:
        with _beside_calls():
            fitted = restored(content, snapshot, self._how)
        if fitted is None:
            raise ValueError("the process that fits is of another version: restart this one")
        self._catch_up(fitted)
        with self._locked():
            self._predictor.adopt(fitted)
            effective = self._last
        name = self._predictor.name
        self._store.save_fit(Fit(name, taken, effective, self._now(), self._instance, content))

    def _catch_up(self, fitted: Any) -> None:
        """Learn what came while it was fitted, beside the calls, until only a few are left."""
        while True:
            with self._locked():
                later = self._predictor.since(fitted, _FEW)
            if len(later) < _FEW:
                return
            fitted.learn(later)
            sleep(_BREATH)

    def _fitted(self, snapshot: Snapshot) -> bytes:
        try:
            child = self._start()
        except OSError:  # no more processes, or a frozen program: calls wait a little at times
            return made(snapshot, self._how)
        self._child = child
        try:
            content, said = child.communicate(packed(snapshot, self._how.shapes), timeout=_LONGEST)
        finally:
            child.kill()
            child.wait()
            self._child = None
        if child.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise ValueError(f"the process that fits ended with {child.returncode}: {last}")
        return content

    def _start(self) -> subprocess.Popen[bytes]:
        if getattr(sys, "frozen", False) or not sys.executable:
            raise OSError("this program is no Python interpreter")
        # Modules are found where this process finds them, and never in the working directory.
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.Popen(  # noqa: S603 (our own module, by this very interpreter)
            [sys.executable, "-P", "-m", "budget_proxy.training.process", self._predictor.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": paths},
            start_new_session=True,
        )
