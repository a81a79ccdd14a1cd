"""A watch kept up with a history: rows since its last checkpoint become alerts, each row once.

Several processes may do it on one history: what each finds is the same, and the first to save
wins. The others begin anew from what it saved.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from budget_proxy.analytics.cases import Notice
from budget_proxy.analytics.watch import RING, Watch
from budget_proxy.store.alerts import Progress, Seen
from budget_proxy.store.base import Store

MOST_BEHIND: Final = 20_000
"""Rows that are caught up with at most; what is older is passed over."""

_CHUNK: Final = 1_000
_BREATH: Final = 10  # rows: less than a millisecond
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """How far a watch has got.

    ``rows`` were taken in, ``skipped`` passed over since they were too many; ``waiting`` ones are
    left, for which time was short. ``unwatched`` counts groups, agents and models that were let
    go again, since others came.
    """

    rows: int
    skipped: int
    waiting: int
    notices: tuple[Notice, ...]
    unwatched: int = 0

    def then(self, later: CaughtUp) -> CaughtUp:
        """Both looks as one."""
        return CaughtUp(
            self.rows + later.rows, self.skipped + later.skipped, later.waiting,
            self.notices + later.notices, later.unwatched,
        )  # fmt: skip


class Follower:
    """Keeps the watch over a history up to date. For one thread at a time.

    A ``gentle`` one lets other threads run in between.
    """

    def __init__(self, store: Store, *, gentle: bool = False) -> None:
        self._store = store
        self._gentle = gentle
        self._watch: Watch | None = None
        self._version = 0

    def catch_up(self, now: float, *, within: float | None = None) -> CaughtUp:
        """Take in the rows since the last checkpoint, for ``within`` seconds.

        However short these are, some rows are taken in, so that looks come to an end. ``now`` is
        the time that is noted with what is to be told. Raises StoreError.
        """
        start = time.monotonic()
        watch, skipped = self._current()
        rows, more = 0, True
        notices: list[Notice] = []
        while more:
            found = self._store.seen(watch.row, limit=_CHUNK)
            more = len(found) == _CHUNK
            if not found:
                break
            news = self._learn(watch, found)
            if self._save(watch, news, now):
                notices += news
                rows += len(found)
            else:  # another process was faster
                watch, missed = self._current()
                skipped += missed
                more = True
            if within is not None and time.monotonic() - start > within:
                break
        waiting = self._newest() - watch.row if more else 0
        return CaughtUp(rows, skipped, max(waiting, 0), tuple(notices), watch.unwatched)

    def limit(
        self, name: str, used: float, size: float, ts: float, now: float, *, said: str = ""
    ) -> list[Notice]:
        """Tell the watch how far a limit is used, and what it does. Raises StoreError."""
        for _ in range(_TRIES):
            watch, _skipped = self._current()
            news = watch.limit(name, used, size, ts, said=said)
            if not news or self._save(watch, news, now):
                return news
        return []  # the process that keeps being faster will be told of it too

    def _learn(self, watch: Watch, rows: list[Seen]) -> list[Notice]:
        news: list[Notice] = []
        for number, row in enumerate(rows):
            if self._gentle and number % _BREATH == 0:
                time.sleep(0)
            news += watch.learn_one(row)
        return news

    def _current(self) -> tuple[Watch, int]:
        """The watch as it was saved last, and how many rows it passes over."""
        if self._watch is not None:
            return self._watch, 0
        saved = self._store.watched()
        watch = Watch.load(saved.row, saved.parts, saved.alerts)
        skipped = max(self._newest() - MOST_BEHIND - watch.row, 0)
        watch.row += skipped
        for row in self._store.seen(watch.row - RING, until=watch.row, limit=RING):
            watch.remember(row)
        self._watch, self._version = watch, saved.version
        return watch, skipped

    def _newest(self) -> int:
        """The id of the newest row; ids have no gaps but where old rows were let go."""
        return max((row.id or 0 for row in self._store.recent(1)), default=0)

    def _save(self, watch: Watch, news: list[Notice], now: float) -> bool:
        progress = Progress(
            self._version,
            watch.row,
            watch.changed(),
            [(notice.change, notice.alert) for notice in news],
            now,
        )
        saved = False
        try:
            saved = self._store.save_watch(progress)
        finally:
            if saved:
                self._version += 1
            else:  # it has seen what was not saved
                self._watch = None
        return saved
