"""Answers that come after their row, as they do in the background.

One whose row is not there is tried again a few times: another instance may be about to write
that row, and whoever polls for an answer stops at it, so that no other retrieval would come. A
response that nobody knows costs those few looks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import Final

from budget_proxy.store.base import Complete

LOOKS: Final = 6
"""How often a row is looked for in all."""
MISSED: Final = 200
"""How many answers may wait for their rows; those that have waited longest are given up first."""


@dataclass(slots=True)
class Answer:
    """What makes of a (hashed) response's pending row the one that takes its place.

    ``looks`` counts how often the row was not there; ``due`` (monotonic seconds) is when to
    look again.
    """

    response: str
    complete: Complete
    looks: int = 0
    due: float = 0.0


class Late:
    """Answers not tried yet, whose number is its length, and answers whose row was not there.

    The latter are tried ``every`` so many seconds.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._new: deque[Answer] = deque()
        self._missed: dict[str, Answer] = {}  # in order of ``due``

    def __len__(self) -> int:
        return len(self._new)

    @property
    def due(self) -> float | None:
        """When to look again for a row that was not there; ``None``: for none."""
        return next((answer.due for answer in self._missed.values()), None)

    def clear(self) -> None:
        """Forget all."""
        self._new.clear()
        self._missed.clear()

    def add(self, response: str, complete: Complete) -> None:
        """Take an answer."""
        self._new.append(Answer(response, complete))

    def trim(self, limit: int) -> int:
        """Drop the oldest of those not tried yet, above the limit; their number."""
        excess = max(len(self._new) - limit, 0)
        for _ in range(excess):
            self._new.popleft()
        return excess

    def take(self) -> Answer | None:
        """Take out the next answer to try; ``None`` if there is none now."""
        if self._new:
            return self._new.popleft()
        oldest = next(iter(self._missed.values()), None)
        if oldest is None or oldest.due > monotonic():
            return None
        return self._missed.pop(oldest.response)

    def put_back(self, answer: Answer) -> None:
        """It could not be tried."""
        if answer.looks:
            self._missed = {answer.response: answer, **self._missed}
        else:
            self._new.appendleft(answer)

    def missed(self, answer: Answer) -> None:
        """Its row was not there: keep it for another look, if it is worth one.

        Of several answers to one response the first is kept, which has the fewest looks left.
        """
        answer.looks += 1
        if answer.looks >= LOOKS or answer.response in self._missed:
            return
        answer.due = monotonic() + self._every
        self._missed[answer.response] = answer
        if len(self._missed) > MISSED:
            del self._missed[next(iter(self._missed))]
