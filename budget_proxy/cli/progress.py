"""Progress bars on stderr, where someone watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def progress_place() -> Iterator[Progress | None]:
    """A place for progress bars; ``None`` where stderr is no terminal."""
    from budget_proxy.cli.output import console

    out = console(stderr=True)
    if not out.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=out) as progress:
        yield progress


class Bar:
    """One progress bar, if there is a place for it."""

    def __init__(self, place: Progress | None, what: str, total: int) -> None:
        self._place = place
        self._task = None if place is None else place.add_task(what, total=total)

    def show(self, done: int) -> None:
        """How far it has got, of ``total``."""
        if self._place is not None and self._task is not None:
            self._place.update(self._task, completed=done)
