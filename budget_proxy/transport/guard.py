"""The one fail-open guard: a fault of ours is counted and logged, and the call goes on."""

from __future__ import annotations

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
