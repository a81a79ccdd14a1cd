"""When a forecast may be acted on, and how far budgets are widened after a truncation.

A fold over the history, like every learner: replaying the rows in order gives the same state.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from budget_proxy.types import CallRecord, frozen

Group = tuple[str, ...]

_GROWTH: Final = 2.0
_MOST: Final = 8.0
_DECAY: Final = 0.9
_GROUPS: Final = 8192


@dataclass(slots=True)
class _State:
    outcomes: int = 0
    widening: float = 1.0
    reasoning: deque[int] = field(default_factory=lambda: deque(maxlen=100))


@frozen
class Gate:
    """Whether there is evidence: the finest ``group`` that has enough, or ``None``.

    ``support`` counts that group's outcomes (the finest group's if none is open);
    ``widening`` >= 1 multiplies caps and reserves.
    """

    group: Group | None
    support: int
    widening: float

    @property
    def open(self) -> bool:
        """Whether the forecast may be acted on."""
        return self.group is not None


class Evidence:
    """Outcomes by (agent, task type, model) and (agent, model).

    An outcome counts if its length is known, or if it was cut although caps had been
    widened. A truncation by our own cap doubles the group's budgets at once (to 8 x at
    most); each complete answer takes a tenth of that back.
    """

    def __init__(self, needed: int) -> None:
        self._needed = needed
        self._states: dict[Group, _State] = {}

    def gate(self, agent: str, task_type: str, model: str) -> Gate:
        """The finest group with enough outcomes."""
        groups = _groups(agent, task_type, model)
        states = [self._states.get(group) for group in groups]
        widening = max((state.widening for state in states if state), default=1.0)
        for group, state in zip(groups, states, strict=True):
            if state is not None and state.outcomes >= self._needed:
                return Gate(group, state.outcomes, widening)
        finest = states[-1]
        return Gate(None, finest.outcomes if finest else 0, widening)

    def reasoning_q95(self, agent: str, task_type: str, model: str) -> int:
        """The 95 % quantile of the group's last 100 counts of reasoning tokens; 0 if none."""
        for group in _groups(agent, task_type, model):
            state = self._states.get(group)
            if state is not None and state.reasoning:
                ordered = sorted(state.reasoning)
                return ordered[ceil(0.95 * len(ordered)) - 1]
        return 0

    def learn(self, record: CallRecord) -> None:
        """Take one row of the history in."""
        for group in _groups(record.agent, record.task_type, record.model):
            state = self._states.get(group)
            if state is None:
                if len(self._states) >= _GROUPS:
                    del self._states[next(iter(self._states))]
                state = self._states[group] = _State()
            if not record.truncated or state.widening > 1.0:
                state.outcomes += 1
            if record.cut_by_us:
                state.widening = min(state.widening * _GROWTH, _MOST)
            elif not record.truncated:
                state.widening = max(1.0, state.widening * _DECAY)
            if record.reasoning_tokens is not None:
                state.reasoning.append(record.reasoning_tokens)


def _groups(agent: str, task_type: str, model: str) -> tuple[Group, Group]:
    return (agent, task_type, model), (agent, model)
