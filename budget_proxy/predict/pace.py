"""How lengths have gone of late: running means of what the effects leave, quick and slow.

By agent and model, and by task. Keeps the groups that learned last.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from budget_proxy.predict.cases import Case

NUMBERS: Final = (
    "quick", "size", "side", "slow", "task quick", "task size", "task side", "task slow",
)  # fmt: skip
"""Means of the rest, its size and its sign over about 10 calls, and of the rest over about 33."""

_QUICK, _SLOW = 0.1, 0.03
_FIRST_SIZE: Final = 0.4
_NONE: Final = (0.0, 0.0, 0.0, 0.0)


class Pace:
    """Running means by group, at most ``most`` groups."""

    __slots__ = ("_groups", "_most")

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._groups: OrderedDict[int, list[float]] = OrderedDict()

    def copy(self) -> Pace:
        """The same, to be added to apart from this."""
        twin = Pace(self._most)
        twin._groups.update((key, means.copy()) for key, means in self._groups.items())
        return twin

    def look(self, case: Case) -> tuple[float, ...]:
        """NUMBERS for a call that is to come."""
        own = self._groups.get(case.pair, _NONE)
        return (*own, *(self._groups.get(task, _NONE) if (task := case.task) else own))

    def add(self, case: Case, rest: float) -> None:
        """Count one outcome in."""
        size, side = abs(rest), (rest > 0.0) - (rest < 0.0)
        task = case.task
        for key in (case.pair, task) if task else (case.pair,):
            means = self._groups.get(key)
            if means is None:
                means = self._groups[key] = [0.0, _FIRST_SIZE, 0.0, 0.0]
                if len(self._groups) > self._most:
                    self._groups.popitem(last=False)
            else:
                self._groups.move_to_end(key)
            means[0] += _QUICK * (rest - means[0])
            means[1] += _QUICK * (size - means[1])
            means[2] += _QUICK * (side - means[2])
            means[3] += _SLOW * (rest - means[3])
