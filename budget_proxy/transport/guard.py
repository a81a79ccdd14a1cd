"""The one place that catches any error: ours so that the call goes on, others' to note them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from budget_proxy.assemble import Engine
from budget_proxy.errors import BudgetExceeded


class fail_open:  # noqa: N801 (read as a statement, like contextlib's suppress)
    """Swallow any fault of ours but a limit's refusal; the engine counts it under ``stage``."""

    __slots__ = ("_engine", "_stage")

    def __init__(self, engine: Engine, stage: str) -> None:
        self._engine = engine
        self._stage = stage

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, BudgetExceeded):
            return False
        self._engine.fault(self._stage, error)
        return True


@contextmanager
def noting(note: Callable[[Exception], None]) -> Iterator[None]:
    """Give what somebody else's call raises to ``note``, which raises it when all is settled.

    An interruption passes.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 (whatever it is, it is kept)
        note(error)
