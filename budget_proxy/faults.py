"""Faults of ours: counted by stage, and logged seldom, without what callers sent."""

from __future__ import annotations

import logging
import time
import traceback
from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import Final

from budget_proxy.errors import StoreError

_log = logging.getLogger("budget_proxy")
_LOG_SECONDS: Final = 60.0
_GOES_ON: Final = "the call goes on without it"
_CONSEQUENCES: Final = MappingProxyType(
    {"limits": "calls that need more of a limit than is leased are refused until it works again"}
)
"""What a fault means for calls, where they do not go on."""


class Faults(Counter[str]):
    """How many faults there were, by stage."""

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[str, float] = {}

    def note(self, stage: str, error: Exception) -> None:
        """Count a fault; log it at most once a minute and stage.

        Only a store's message is logged: others may quote what a caller sent.
        """
        self[stage] += 1
        now = time.monotonic()
        if now - self._logged.get(stage, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged[stage] = now
            what = str(error) if isinstance(error, StoreError) else _place_of(error)
            _log.warning("%s failed; %s: %s", stage, _CONSEQUENCES.get(stage, _GOES_ON), what)


def _place_of(error: Exception) -> str:
    """The kind of an error, and where it was raised."""
    where = traceback.extract_tb(error.__traceback__)[-1:]
    at = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in where)
    return f"{type(error).__name__}{at}"
