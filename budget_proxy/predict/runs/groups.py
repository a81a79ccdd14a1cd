"""Which runs a run is compared with: those of its task, its agent and model, its agent, all."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from budget_proxy.predict.runs.trajectories import Rows

SOURCES: Final = ("all", "agent", "agent+model", "agent+model+task")
WITH_MODEL: Final = SOURCES.index("agent+model")
"""From this level on, a group's runs are of one model."""

WINDOW: Final = 256
"""Runs of a group that are remembered, the newest."""

_MOST_ANSWERS: Final = 512
_NOBODY: Final[deque[int]] = deque()

Group = tuple[str, ...]
Chain = tuple[Group, ...]


def chain_of(agent: str, model: str, task: str | None) -> Chain:
    """A run's groups, the widest first: as many as SOURCES, or one less without a task."""
    chain: Chain = ((), (agent,), (agent, model))
    return chain if task is None else (*chain, (agent, model, task))


class Groups:
    """The numbers of the newest runs of each group, at most ``most`` groups."""

    __slots__ = ("_answers", "_groups", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: OrderedDict[Group, deque[int]] = OrderedDict()
        self._answers: dict[Chain, tuple[Rows, Rows]] = {}

    def add(self, chain: Chain, number: int) -> None:
        """Put a run that begins into its groups."""
        for group in chain:
            numbers = self._groups.get(group)
            if numbers is None:
                numbers = self._groups[group] = deque(maxlen=WINDOW)
            numbers.append(number)
            self._groups.move_to_end(group)
        while len(self._groups) > self._most:
            self._groups.popitem(last=False)
        self._answers.clear()

    def runs(self, chain: Chain) -> tuple[Rows, Rows]:
        """The numbers of all runs of a chain, each once, and the finest level each belongs to."""
        answer = self._answers.get(chain)
        if answer is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            found = [self._groups.get(group, _NOBODY) for group in chain]
            answer = self._answers[chain] = _each_once(found)
        return answer


def _each_once(groups: Sequence[deque[int]]) -> tuple[Rows, Rows]:
    """The numbers in any of these, as they first come, and the last of the groups they are in."""
    numbers = np.concatenate([np.fromiter(group, np.intp, len(group)) for group in groups])
    levels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    order = np.argsort(numbers, kind="stable")
    ascending = numbers[order]
    begins, ends = np.ones((2, len(order)), bool)
    begins[1:] = ends[:-1] = ascending[1:] != ascending[:-1]
    first, last = order[begins], order[ends]
    places = np.argsort(first)
    return numbers[first[places]], levels[last[places]]
