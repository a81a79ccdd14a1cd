"""Calls near midnight that the bill files under another day than our rows do.

Either the export's days begin at another hour than ours (UTC), all of them or one; or calls are
billed when they end, and these ended after midnight. It is taken for that only where moving the
very calls of so many half hours makes both days agree, in tokens of input, of output and in
requests, of most models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from budget_proxy.analytics.billing.cells import Bill, Place, day_start, next_day
from budget_proxy.store.billed import DAY, HALF_HOUR, Spent
from budget_proxy.types import frozen

_LATE: Final = 0
_SHIFTS: Final = (_LATE, *(sign * n for n in range(1, 29) for sign in (1, -1)))
"""Half hours: the last n of a day filed under the next one, or the first n (-n) of the next."""

_SURE: Final = 0.6
_LEAST_DAYS: Final = 3
_LEAST: Final = 2
_OUTPUT: Final = 1
_REQUESTS: Final = 2

Ledger = Mapping[Place, Sequence[Spent]]
Bills = Mapping[Place, Bill]
Numbers = tuple[int, ...]


@frozen
class Move:
    """Some attempts of ``model`` that the bill files under ``to`` and our rows under ``day``."""

    provider: str
    model: str
    day: str
    to: str
    spent: tuple[Spent, ...]
    why: str

    @property
    def amount(self) -> int:
        """What they cost by our prices, in nano-dollars."""
        return sum(one.amount for one in self.spent)

    @property
    def tokens(self) -> int:
        """How many tokens they used."""
        return sum(one.fresh + one.cached + one.written + one.output for one in self.spent)


def moves(ledger: Ledger, bills: Bills, provider: str, days: Sequence[str]) -> list[Move]:
    """What has to be moved so that our rows' days are the bill's. ``days`` are those billed."""
    seen = _Days(ledger, bills, provider, days)
    shift = seen.of_all()
    if shift is not None:
        edges = sorted({next_day(day, -1) for day in days} | set(days))
        return [one for day in edges for one in seen.moved(day, shift, everywhere=True)]
    found: list[Move] = []
    for day in days:
        single = seen.of_one(day)
        if single is not None:
            found += seen.moved(day, single)
    return found


class _Days:
    """One provider's days: what is billed, and what our rows have."""

    def __init__(self, ledger: Ledger, bills: Bills, provider: str, days: Sequence[str]) -> None:
        self._ledger = {place[1:]: spent for place, spent in ledger.items() if place[0] == provider}
        self._bills = {place[1:]: bill for place, bill in bills.items() if place[0] == provider}
        self._provider = provider
        self._days = frozenset(days)
        self._models = sorted({model for _, model in (*self._ledger, *self._bills)})
        self._telling = {day for (day, _), bill in self._bills.items() if bill.tokens is not None}
        self._counts = any(bill.requests is not None for bill in self._bills.values())
        self._numbers = {place: self._measured(spent) for place, spent in self._ledger.items()}

    def of_all(self) -> int | None:
        """The shift that makes most days agree, where they do not as they are."""
        if len(self._days) < _LEAST_DAYS:
            return None
        right, there = self._agreeing(None)
        best, shift = (
            max(
                ((self._agreeing(one)[0], one) for one in _SHIFTS),
                key=lambda pair: (pair[0], -abs(pair[1])),
            )
            if there - right >= _LEAST_DAYS
            else (0, 0)
        )
        return shift if best - right >= max(_LEAST_DAYS, _SURE * (there - right)) else None

    def of_one(self, day: str) -> int | None:
        """The shift that makes this day and the next agree, where they do not as they are."""
        if all(self._agrees(one, model) for one in (day, next_day(day)) for model in self._models):
            return None
        fitting = [(*self._fitting(day, shift), -abs(shift), shift) for shift in _SHIFTS]
        right, there, _, shift = max(fitting)
        return shift if right >= max(_LEAST, _SURE * -there) else None

    def moved(self, day: str, shift: int, *, everywhere: bool = False) -> Iterator[Move]:
        """The attempts to be moved over the midnight that ends a day."""
        after = next_day(day)
        source, target = (day, after) if shift >= 0 else (after, day)
        why = _why(shift, everywhere=everywhere)
        for model in self._models:
            some = tuple(filter(_chosen(shift, after), self._ledger.get((source, model), ())))
            if some:
                yield Move(self._provider, model, source, target, some, why)

    def _agreeing(self, shift: int | None) -> tuple[int, int]:
        """How many numbers, of how many of all days and models, agree after a shift of all."""
        right = there = 0
        for model in self._models:
            for day in self._days:
                bill, ours = self._both(day, model)
                if bill is None:
                    continue
                if shift is not None:
                    for end, sign in ((next_day(day, -1), 1), (day, -1)):
                        crossed = self._crossing(end, model, shift)
                        ours = tuple(a + sign * b for a, b in zip(ours, crossed, strict=True))
                for place, mine in enumerate(ours):
                    there += 1
                    right += abs(bill[place] - mine) <= self._slack(day, model, place, mine)
        return right, there

    def _crossing(self, day: str, model: str, shift: int) -> Numbers:
        """What goes over the midnight that ends a day, in the measures of its bill."""
        after = next_day(day)
        source, sign = (day, 1) if shift >= 0 else (after, -1)
        some = filter(_chosen(shift, after), self._ledger.get((source, model), ()))
        return tuple(sign * number for number in self._measured(some))

    def _agrees(self, day: str, model: str) -> bool:
        """Whether there is nothing to explain."""
        bill, ours = self._both(day, model)
        if day not in self._days or bill is None:
            return True
        return all(
            abs(bill[place] - mine) <= self._slack(day, model, place, mine)
            for place, mine in enumerate(ours)
        )

    def _fitting(self, day: str, shift: int) -> tuple[int, int]:
        """How many numbers of both days agree when they move, and minus how many move.

        Left out are numbers that estimates could be off by about as much.
        """
        after = next_day(day)
        right = there = 0
        if not {day, after} <= self._days:  # one day alone could as well lack rows
            return 0, 0
        for model in self._models:
            crossed = self._crossing(day, model, shift)
            for one, sign in ((day, 1), (after, -1)):
                if self._both(one, model)[0] is None:
                    continue
                for place, moved in enumerate(crossed):
                    slack = self._slack(one, model, place, moved)
                    if moved and slack <= abs(moved) / 2:
                        there += 1
                        right += abs(self._beyond(one, model, place) + sign * moved) <= slack
        return right, -there

    def _beyond(self, day: str, model: str, place: int) -> int:
        bill, ours = self._both(day, model)
        return 0 if bill is None else bill[place] - ours[place]

    def _both(self, day: str, model: str) -> tuple[Numbers | None, Numbers]:
        """The bill's numbers and ours; ``None`` where the bill tells no tokens."""
        ours = self._numbers.get((day, model), (0, 0, 0) if self._counts else (0, 0))
        blank = Bill(tokens={} if day in self._telling else None)
        bill = self._bills.get((day, model), blank)
        if bill.tokens is None:
            return None, ours
        output = sum(n for (kind, _), n in bill.tokens.items() if kind == "output")
        given = sum(bill.tokens.values()) - output
        counts = (bill.requests or 0,) if self._counts else ()
        return (given, output, *counts), ours

    def _measured(self, spent: Iterable[Spent]) -> Numbers:
        """Tokens of input and of output, and answered attempts if the bill counts those."""
        given = output = attempts = 0
        for one in spent:
            given += one.fresh + one.cached + one.written
            output += one.output
            attempts += 0 if one.failed else one.attempts
        return (given, output, attempts) if self._counts else (given, output)

    def _slack(self, day: str, model: str, place: int, number: int) -> float:
        """How far apart numbers may be: further where some of ours are estimates."""
        if place == _REQUESTS:
            return 0.0
        guessed = [one for one in self._ledger.get((day, model), ()) if not one.exact]
        wrong = sum(one.output for one in guessed) / 2 if place == _OUTPUT else 0.0
        return max(2.0, abs(number) / 1000, wrong)


def _chosen(shift: int, after: str) -> Callable[[Spent], bool]:
    """Which attempts a shift moves over the midnight that begins the day ``after``."""
    midnight = day_start(after)
    if shift == _LATE:
        return lambda one: one.late
    if shift > 0:
        return lambda one: one.start >= midnight - shift * HALF_HOUR
    return lambda one: one.start < midnight - shift * HALF_HOUR


def _why(shift: int, *, everywhere: bool) -> str:
    if shift == _LATE:
        return "calls that ended after midnight are billed on the day on which they ended"
    hours = f"{abs(shift) * HALF_HOUR / (DAY / 24):g} h"
    which = "the export's days begin" if everywhere else "one day of the export begins"
    return f"{which} about {hours} {'before' if shift > 0 else 'after'} midnight UTC"
