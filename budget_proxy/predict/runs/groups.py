"""Which runs a run is compared with: those of its task, its agent and model, its agent, all."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

import numpy as np

from budget_proxy.predict.runs.trajectories import Rows

SOURCES: Final = ("all", "agent", "agent+model", "agent+model+task")
WITH_MODEL: Final = SOURCES.index("agent+model")
"""From this level on, a group's runs are of one model."""

WINDOW: Final = 256
"""Runs of a group that are remembered, the newest."""

_MOST_ANSWERS: Final = 512

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
            finest: dict[int, int] = {}
            for level, group in enumerate(chain):
                finest.update(dict.fromkeys(self._groups.get(group, ()), level))
            answer = (
                np.fromiter(finest.keys(), np.intp, len(finest)),
                np.fromiter(finest.values(), np.intp, len(finest)),
            )
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[chain] = answer
        return answer
