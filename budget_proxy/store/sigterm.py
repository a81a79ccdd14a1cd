"""Write the history before a plain script is ended by SIGTERM. Servers have their own way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from budget_proxy.store.recorder import flush_all

_Handler = Callable[[int, FrameType | None], object]


def flush_on_sigterm() -> bool:
    """On SIGTERM flush every recorder, then do what would have been done without us.

    False, and nothing changed, outside the main thread or where the signal is ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    previous = signal.getsignal(signal.SIGTERM)
    if isinstance(previous, _Flush):
        return True
    if previous is not signal.SIG_DFL and not callable(previous):
        return False
    signal.signal(signal.SIGTERM, _Flush(previous if callable(previous) else None))
    return True


class _Flush:
    def __init__(self, previous: _Handler | None) -> None:
        self._previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        flush_all()
        if self._previous is not None:
            self._previous(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
