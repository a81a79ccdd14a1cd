"""The history in memory: for tests, and where the disk cannot be written."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import nlargest
from itertools import islice, pairwise
from math import inf
from typing import Any

from budget_proxy.run_types import Note
from budget_proxy.store.alerts import Seen, seen
from budget_proxy.store.applied import Applied
from budget_proxy.store.base import KEPT_SIGNALS, WITHIN, Complete, Group
from budget_proxy.store.billed import Billed
from budget_proxy.store.kept_bills import KeptBills
from budget_proxy.store.keys import Kept
from budget_proxy.store.measures import sums_of
from budget_proxy.store.noted import Noted
from budget_proxy.store.pages import Page, Place, page_of, place_of
from budget_proxy.store.reckoned import Reckoned, Reckoning
from budget_proxy.store.remembered import Alerts, Remembered
from budget_proxy.store.remembered_keys import RememberedKeys
from budget_proxy.store.remembered_runs import RememberedRuns
from budget_proxy.store.rows import SETTLED_WITHIN, check_columns, completed
from budget_proxy.store.sums import (
    DAY,
    FINE,
    KEYS,
    SPANS,
    SUMMED,
    Sums,
    added,
    bucket_of,
    merged,
    pieces_of,
    told_apart,
)
from budget_proxy.types import CallRecord, Fit, Guidance, Session


class MemoryStore(Remembered, Reckoned, RememberedKeys, KeptBills, Noted, RememberedRuns):
    """Keeps the newest ``limit`` rows, and all sessions, until the process ends."""

    url = "memory:"

    def __init__(self, *, limit: int = 100_000) -> None:
        self._lock = threading.Lock()
        self._rows: deque[CallRecord] = deque(maxlen=limit)
        self._last = 0
        self._sessions: dict[tuple[str, str], Session] = {}
        self._of_key: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._of_id: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._guidance: dict[str, Guidance | Note] = {}
        self._meta: dict[str, str] = {}
        self._fits: defaultdict[str, list[Fit]] = defaultdict(list)
        self._gone: dict[tuple[int, int], list[Sums]] = {}
        self._fine = 0.0
        self._applied: list[Applied] = []
        self._alerts = Alerts()
        self._reckoning = Reckoning()
        self._keys: dict[str, Kept] = {}
        self._billed: list[Billed] = []
        self._budgets = {}
        self._extensions = defaultdict(list)

    def migrate(self) -> list[str]:
        """Nothing to bring up to date."""
        return []

    def append(self, records: Sequence[CallRecord]) -> list[int]:
        """Write rows; their ids, ascending. Marks their sessions as seen."""
        with self._lock:
            first = self._last + 1
            self._reckoning.add(records)
            for record in records:
                self._last += 1
                self._reckoning.fold(self._falling_out())
                self._rows.append(replace(record, id=self._last))
                self._mark_seen(record)
            self._let_signals_go(len(records))
            return list(range(first, self._last + 1))

    def settle_late(self, response: str, complete: Complete) -> CallRecord | None:
        """Replace the pending row of a response by a newest one."""
        with self._lock:
            for index in range(len(self._rows) - 1, -1, -1):
                row = self._rows[index]
                if row.pending and row.response_id == response:
                    settled = replace(complete(row), id=self._last + 1)
                    del self._rows[index]
                    self._rows.append(settled)
                    self._reckoning.change(row, settled)
                    self._last += 1
                    return settled
        return None

    def save_sessions(self, sessions: Sequence[Session]) -> None:
        """Write sessions and their guidance; what one (key, id) was given already stays."""
        with self._lock:
            for session in sessions:
                for note in session.carried:
                    self._guidance.setdefault(note.id, note)
                place = (session.key, session.id)
                if place in self._sessions:
                    self._sessions[place] = completed(self._sessions[place], session)
                else:
                    self._sessions[place] = session
                    self._of_key[session.key].append(place)
                    self._of_id[session.id].append(place)

    def session(
        self, key: str, response: str | None = None, identifier: str | None = None
    ) -> Session | None:
        """Find the newest session under ``key``, or the one that produced ``response``."""
        with self._lock:
            places = self._of_key.get(key, [])
            if response is not None:
                rows = reversed(self._rows)
                wanted = next((r.session for r in rows if r.response_id == response), None)
                places = self._of_id.get(wanted or "", [])
            places = places or self._of_id.get(identifier or "", [])
            # of two that started together the later written is the newer
            found = [self._sessions[place] for place in reversed(places)]
        return max(found, key=lambda s: s.started, default=None)

    def recent(self, limit: int) -> list[CallRecord]:
        """Give the newest ``limit`` rows, oldest first."""
        with self._lock:
            return self._newest(limit)

    def since(
        self, row: int, *, besides: str | None = None, limit: int = 10_000
    ) -> list[CallRecord]:
        """Give rows with a greater id, oldest first; ``besides`` leaves out one instance's own."""
        with self._lock:
            newer = [r for r in self._newest(max(self._last - row, 0)) if (r.id or 0) > row]
        return [r for r in newer if besides is None or r.instance != besides][:limit]

    def calls(
        self, *, start: float | None = None, end: float | None = None, **where: Any
    ) -> Iterator[CallRecord]:
        """Give rows by time [start, end) and equality of columns, oldest first.

        Raises InvalidInput where ``where`` names no column.
        """
        check_columns(where)
        wanted = {k: tuple(v) if isinstance(v, list) else v for k, v in where.items()}
        with self._lock:
            rows = list(self._rows)
        return (
            row
            for row in rows
            if (start is None or row.ts >= start)
            and (end is None or row.ts < end)
            and all(getattr(row, name) == value for name, value in wanted.items())
        )

    def newest(
        self,
        group: Group,
        limit: int,
        *,
        within: int = WITHIN,
        start: float | None = None,
        known: str | None = None,
        **where: Any,
    ) -> list[CallRecord]:
        """Give at most ``limit`` of the newest ``within`` rows of a group, newest first.

        Raises InvalidInput where ``known`` or ``where`` names no column.
        """
        check_columns(where if known is None else {**where, known: None})
        with self._lock:
            rows = list(self._rows)
        its = [row for row in rows if (row.agent, row.task_type, row.model) == group]
        found = (
            row
            for row in nlargest(within, its, key=place_of)
            if (start is None or row.ts >= start)
            and (known is None or getattr(row, known) is not None)
            and all(getattr(row, name) == value for name, value in where.items())
        )
        return list(islice(found, limit))

    def page(
        self,
        *,
        before: Place | None = None,
        limit: int = 100,
        start: float | None = None,
        end: float | None = None,
        **where: Any,
    ) -> Page:
        """Give a page of rows by time [start, end) and equality of columns, newest first.

        Raises InvalidInput where ``where`` names no column.
        """
        found = self.calls(start=start, end=end, **where)
        older = (row for row in found if before is None or place_of(row) < before)
        return page_of(nlargest(limit + 1, older, key=place_of), limit)

    def score(self, call_id: str, score: float) -> bool:
        """Attach a quality score to a call's newest attempt; false if there is no such call."""
        with self._lock:
            for index in range(len(self._rows) - 1, -1, -1):
                if self._rows[index].call_id == call_id:
                    self._rows[index] = replace(self._rows[index], score=score)
                    return True
        return False

    def counts(self) -> Mapping[str, int]:
        """Count the rows by table."""
        with self._lock:
            return {
                "calls": len(self._rows),
                "sessions": len(self._sessions),
                "guidance": len(self._guidance),
                "features": sum(1 for row in self._rows if row.signals),
                "fits": sum(map(len, self._fits.values())),
                "meta": len(self._meta),
                "alerts": len(self._alerts.alerts),
                "alert_events": len(self._alerts.events),
                "alert_mutes": len(self._alerts.mutes),
                "watch": len(self._alerts.watched().parts),
                "sums": sum(map(len, self._gone.values())),
                "applied": len(self._applied),
                **self._reckoning.counts(),
                "keys": len(self._keys),
                "billed": len(self._billed),
                "runs": len(self._budgets),
                "run_extensions": sum(map(len, self._extensions.values())),
                "session_notes": sum(len(one.notes) for one in self._sessions.values()),
            }

    def horizon(self, keep: int) -> int:
        """Give the id of the newest row that is not among the newest ``keep``; 0 if none is."""
        with self._lock:
            return self._rows[-keep - 1].id or 0 if len(self._rows) > keep else 0

    def foldable(self, until: int, before: float) -> int:
        """Count the rows that ``fold`` would fold in all."""
        with self._lock:
            return len(self._foldable(until, before))

    def fold(self, until: int, before: float, *, limit: int = 500) -> int:
        """Let some ``limit`` of the oldest rows go, whose sums stay; 0 when none is left."""
        with self._lock:
            oldest = sorted(self._foldable(until, before), key=lambda row: row.ts)[:limit]
            cut = {row.call_id for row in oldest if row.cut_by_us}
            picked = {row.id for row in oldest}
            gone = [row for row in self._rows if row.id in picked or row.call_id in cut]
            self._let_go(gone)
            self._reckoning.fold(gone)
            ids = {row.id for row in gone}
            kept = [row for row in self._rows if row.id not in ids]
            self._rows.clear()
            self._rows.extend(kept)
            return len(gone)

    def folded(self) -> list[tuple[int, str, str]]:
        """Give the (start of the UTC day, agent, model) of which some rows were folded."""
        with self._lock:
            days = [(start, parts) for (span, start), parts in self._gone.items() if span == DAY]
        return sorted({(start, sums.agent, sums.model) for start, parts in days for sums in parts})

    def sums(
        self,
        *,
        start: float | None = None,
        end: float | None = None,
        by: Sequence[str] = KEYS[:3],
        only: Collection[str] = SUMMED,  # noqa: ARG002 (there is no gain)
        **where: Any,
    ) -> list[Sums]:
        """Give sums over rows by time [start, end) and equality of columns, most calls first.

        Raises InvalidInput where ``where`` names no column.
        """
        parts = sums_of(self.calls(start=start, end=end, **where))
        if set(where) <= set(KEYS):
            low, high = -inf if start is None else start, inf if end is None else end
            with self._lock:
                gone = list(self._gone.items())
                pieces = pieces_of(low, high, self._fine)
            parts += [
                sums
                for (span, begin), members in gone
                if any(span == kept and a <= begin < b for kept, a, b in pieces.kept)
                for sums in members
                if all(getattr(sums, name) == value for name, value in where.items())
            ]
        return merged(parts, by)

    def course(
        self,
        edges: Sequence[float],
        *,
        by: Sequence[str] = KEYS[:3],
        only: Collection[str] = SUMMED,
        apart: Sequence[tuple[str, ...]] | None = None,
        **where: Any,
    ) -> list[list[Sums]]:
        """Give ``sums`` of each span of time between two ``edges``.

        Raises InvalidInput where ``where`` names no column.
        """
        return [
            told_apart(self.sums(start=low, end=high, by=by, only=only, **where), by, apart)
            for low, high in pairwise(edges)
        ]

    def reclaim(self, pages: int = 1000) -> int:  # noqa: ARG002 (there is no file)
        """Nothing to give back."""
        return 0

    def vacuum(self) -> int:
        """Nothing to write anew."""
        return 0

    def seen(self, after: int, *, until: int | None = None, limit: int = 10_000) -> list[Seen]:
        """Give what a watch sees of rows with an id in (after, until], oldest first."""
        with self._lock:
            newer = [r for r in self._newest(max(self._last - after, 0)) if (r.id or 0) > after]
        return [seen(r) for r in newer if until is None or (r.id or 0) <= until][:limit]

    def close(self) -> None:
        """Nothing to close; the rows stay readable."""

    def _foldable(self, until: int, before: float) -> list[CallRecord]:
        settled = before - SETTLED_WITHIN
        return [
            row
            for row in self._rows
            if (row.id or 0) <= until
            and row.ts < before
            and not (row.pending and row.ts >= settled)
        ]

    def _let_go(self, gone: Sequence[CallRecord]) -> None:
        for span in SPANS:
            buckets: defaultdict[int, list[CallRecord]] = defaultdict(list)
            for row in gone:
                buckets[bucket_of(row.ts, span)].append(row)
            for start, members in buckets.items():
                parts = [replace(sums, folded=sums.attempts) for sums in sums_of(members)]
                self._gone[span, start] = added([*self._gone.get((span, start), ()), *parts])
        newest = max((row.ts for row in self._rows), default=0.0)
        self._fine = max(self._fine, bucket_of(newest, DAY) - FINE)
        for span, start in list(self._gone):
            if span != DAY and start < self._fine:
                del self._gone[span, start]

    def _falling_out(self) -> list[CallRecord]:
        """The row that the next one takes the place of."""
        return [self._rows[0]] if len(self._rows) == self._rows.maxlen else []

    def _newest(self, count: int) -> list[CallRecord]:
        found = list(islice(reversed(self._rows), count))
        found.reverse()
        return found

    def _let_signals_go(self, added: int) -> None:
        """Of the rows that were among the newest KEPT_SIGNALS before ``added`` came."""
        end = len(self._rows) - KEPT_SIGNALS
        for index in range(max(end - added, 0), end):
            if self._rows[index].signals:
                self._rows[index] = replace(self._rows[index], signals=b"")

    def _mark_seen(self, record: CallRecord) -> None:
        for place in self._of_id.get(record.session or "", ()):
            session = self._sessions[place]
            if session.seen < record.ts:
                self._sessions[place] = replace(session, seen=record.ts)
