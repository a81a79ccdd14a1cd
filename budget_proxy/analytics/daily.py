"""A report a day, written by whichever process on a history comes first.

The day (in the settings' time zone) is over when its report is made, some hours after midnight,
so that it is the same whoever writes it and however late. ``report_day`` in ``meta`` is the day
that was written last; while one is being written, also that day and until when it is claimed.
"""

from __future__ import annotations

import re
import threading
import time as clock
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from budget_proxy.analytics.rendering.document import document, span
from budget_proxy.analytics.rendering.file import replace
from budget_proxy.analytics.rendering.markdown import markdown
from budget_proxy.analytics.rendering.page import page
from budget_proxy.analytics.report import Report, keep, make_report
from budget_proxy.errors import StoreError
from budget_proxy.store.base import Store
from budget_proxy.types import frozen

KEPT: Final = 31
"""Newest days whose reports stay; no more are written in a row after a time of silence either."""

_STATE: Final = "report_day"
_LEASE: Final = 600.0
"""Seconds after which another process may take over a report that was not finished."""
_EVERY: Final = 30.0
_ONE: Final = timedelta(days=1)
_OURS: Final = re.compile(r"report-(\d{4}-\d\d-\d\d)\.(html|md)")


@frozen
class _State:
    """The text in ``meta``, and what it says."""

    text: str
    written: date | None
    claimed_until: float

    @classmethod
    def of(cls, text: str) -> _State:
        written, _, rest = text.partition(" ")
        until = rest.partition(" ")[2]
        return cls(text, date.fromisoformat(written) if written else None, float(until or 0.0))


class DailyReports:
    """Writes ``report-YYYY-MM-DD.html`` and ``.md`` into ``directory``, one pair a day.

    A day's report is due at ``at`` of the next. ``on_fault(stage, error)`` is told what went
    wrong; it is tried again ten minutes later. Missed days are made up for, at most KEPT.
    """

    def __init__(
        self,
        store: Store,
        *,
        at: time,
        zone: ZoneInfo,
        directory: Path,
        on_fault: Callable[[str, Exception], None],
        now: Callable[[], float] = clock.time,
    ) -> None:
        self._store = store
        self._at = at
        self._zone = zone
        self._directory = directory
        self._on_fault = on_fault
        self._now = now
        self._written: date | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="budget-proxy-reports", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own: no call waits for it."""
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Stop; what is being written when ``timeout`` seconds are over is written again later."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def look(self) -> list[date]:
        """Write what is due and nobody else writes; the days that were written."""
        done: list[date] = []
        newest = self._newest_due()
        while self._written is None or self._written < newest:
            try:
                day = self._next(newest)
            except StoreError as error:
                self._on_fault("report", error)
                break
            except OSError as error:
                told = f"no report can be written to {self._directory}: {error.strerror or error}"
                self._on_fault("report", StoreError(told))
                break
            if day is None or self._stop.is_set():
                break
            done.append(day)
        return done

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(_EVERY):
                return

    def _newest_due(self) -> date:
        local = datetime.fromtimestamp(self._now(), self._zone)
        return local.date() - (_ONE if local.time() >= self._at else 2 * _ONE)

    def _next(self, newest: date) -> date | None:
        """Write the oldest day that is due; ``None`` if there is none, or another is at it."""
        state = _State.of(self._store.meta(_STATE, ""))
        self._written = state.written
        day = newest if state.written is None else state.written + _ONE
        day = max(day, newest - (KEPT - 1) * _ONE)
        if day > newest or self._now() < state.claimed_until:
            return None
        written = "" if state.written is None else state.written.isoformat()
        claim = f"{written} {day} {self._now() + _LEASE:.0f}"
        if not self._store.swap_meta(_STATE, state.text, claim):
            return None
        self._write(day)
        if self._store.swap_meta(_STATE, claim, day.isoformat()):
            self._written = day
        return day

    def _write(self, day: date) -> None:
        found = self._report(day)
        title, blocks = f"Token budgets on {day}", document(found)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for suffix, write in (("html", page), ("md", markdown)):
            replace(self._directory / f"report-{day}.{suffix}", write(title, span(found), blocks))
        keep(self._store, found)
        _let_go(self._directory)

    def _report(self, day: date) -> Report:
        start, end = (
            datetime.combine(one, time(), self._zone).timestamp() for one in (day, day + _ONE)
        )
        return make_report(self._store, now=self._now(), zone=self._zone, since=start, until=end)


def _let_go(directory: Path) -> None:
    """Delete the reports of all but the newest KEPT days, and nothing else."""
    ours = [
        (match[1], path) for path in directory.iterdir() if (match := _OURS.fullmatch(path.name))
    ]
    kept = set(sorted({day for day, _ in ours})[-KEPT:])
    for day, path in ours:
        if day not in kept:
            path.unlink(missing_ok=True)
