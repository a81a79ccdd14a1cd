"""What the reader of a format offers, and how it says that a row is no call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from budget_proxy.errors import InvalidInput
from budget_proxy.store.recorded import RecordedCall
from budget_proxy.store.source import Row


class NoCall(Exception):
    """A row that is no call, or none that tells anything; the message says what it is."""


class Listener(Protocol):
    """Is told of rows that gave no call."""

    def bad(self, number: int, error: InvalidInput) -> None:
        """A row that should be a call and cannot be read as one."""

    def passed(self, number: int, what: str) -> None:
        """A row of another kind, which was left out on purpose."""


class Format(Protocol):
    """A format that calls can be imported from."""

    name: str
    """As ``--format`` takes it."""

    def recognises(self, row: Row) -> bool:
        """Whether a row is of this format, by the names of its fields."""

    def calls(
        self, rows: Iterable[tuple[int, Row]], listener: Listener
    ) -> Iterator[tuple[int, RecordedCall]]:
        """The calls in a file's rows, each with the number of its row."""


class RowFormat:
    """A format in which every row stands for itself: ``call`` reads it.

    ``call`` raises NoCall, and InvalidInput where the row contradicts the format.
    """

    name: str

    def call(self, row: Row) -> RecordedCall:
        """The call that a row is."""
        raise NotImplementedError

    def calls(
        self, rows: Iterable[tuple[int, Row]], listener: Listener
    ) -> Iterator[tuple[int, RecordedCall]]:
        """The calls in a file's rows, each with the number of its row."""
        for number, row in rows:
            try:
                yield number, self.call(row)
            except NoCall as reason:
                listener.passed(number, str(reason))
            except InvalidInput as error:
                listener.bad(number, error)
