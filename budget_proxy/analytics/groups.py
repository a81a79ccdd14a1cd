"""Rows counted by group, in one pass: which row counts as what, and with which others.

A call is measured by its first answer, also if our cap cut it: the resend is another draw, and
counting it in place of the long first one would make forecasts look better.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from budget_proxy.analytics.tally import Group, Tally
from budget_proxy.ledger.settlement import has_length
from budget_proxy.types import CallRecord

_MOST: Final = 4096
_MOST_CUT: Final = 10_000
_OTHER: Final = "(other)"


class Groups:
    """A tally by ``group_of`` a row. Beyond 4,096 groups the rest counts as "(other)"."""

    def __init__(self, group_of: Callable[[CallRecord], Group]) -> None:
        self.tallies: dict[Group, Tally] = {}
        self._group_of = group_of
        self._cut: OrderedDict[str, None] = OrderedDict()

    def add(self, record: CallRecord) -> None:
        """Count one row; rows come in order of their ids (a resend after what it repeats)."""
        tally = self.tally(self._group_of(record))
        tally.attempt(record)
        if record.attempt > 1 and record.call_id in self._cut:
            del self._cut[record.call_id]
            tally.resent += 1
        elif record.exact and has_length(record):
            tally.length(record)
        if record.cut_by_us:
            self._cut[record.call_id] = None
            if len(self._cut) > _MOST_CUT:
                self._cut.popitem(last=False)

    def tally(self, group: Group) -> Tally:
        """The tally of a group, which is made if it is not there."""
        found = self.tallies.get(group)
        if found is None:
            if len(self.tallies) >= _MOST:
                return self.tallies.setdefault((_OTHER,) * len(group), Tally())
            found = self.tallies[group] = Tally()
        return found
