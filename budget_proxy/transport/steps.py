"""An exchange under way: what every driver that sends by a library's own calls shares."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final

from budget_proxy.engine import Answer, Question
from budget_proxy.errors import StoreError
from budget_proxy.transport.exchange import Exchange, Result, Send, Wait
from budget_proxy.types import Ticket

_PATIENCE: Final = 1.0


class Steps:
    """Iterate it for what the driver is to do; what came of a step goes into ``answer``.

    It may be left in the middle and taken up again by another loop.
    """

    def __init__(self, steps: Exchange) -> None:
        self._steps = steps
        self.answer: Any = None
        self.result: Result | None = None

    def __iter__(self) -> Iterator[Question | Send | Wait]:
        while True:
            answer, self.answer = self.answer, None
            try:
                step = self._steps.send(answer)
            except StopIteration as done:
                self.result = done.value
                return
            yield step

    def found(self, answer: Answer) -> None:
        """What the engine answered to a question."""
        self.answer = answer

    def close(self) -> None:
        """Give up: an attempt that is open settles as cancelled."""
        self._steps.close()


def wait(ticket: Ticket) -> None:
    """Wait for a ticket for a moment; what goes wrong with it, the recorder has counted."""
    with suppress(TimeoutError, CancelledError, StoreError):
        ticket.result(timeout=_PATIENCE)
