"""An engine that has decided already: what is left of a call is the seam around it."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from budget_proxy import Outcome, Plan


class Decided:
    """In an engine's place: every call has the same plan, or none, and nothing is learned."""

    limited = False

    def __init__(self, plan: Plan | None = None) -> None:
        self._plan = plan

    def run(self, *_: Any) -> Generator[Plan, Outcome, None]:
        """The plan, if there is one; its outcome goes nowhere."""
        if self._plan is not None:
            yield self._plan

    def new_id(self) -> str:
        """The same id for every call."""
        return "id"

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def fault(self, stage: str, error: Exception) -> None:
        """There must be none, or the figure is of something else."""
        raise AssertionError(f"{stage} failed") from error
