"""The process that fits: a snapshot comes in on its input, what was fitted goes out.

    python -m budget_proxy.training.process STRATEGY

It reads no history, opens no connection, and ends with its one answer.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import sleep
from typing import Any, Final

_PATIENT: Final = 10
_WORK, _REST = 0.002, 0.0005


def main() -> None:
    """Read, fit, write."""
    with _calls_first(last=sys.argv[2] == "last"):
        from budget_proxy.predict.strategies import fitting
        from budget_proxy.training.arrays import packed, unpacked

        how = fitting(sys.argv[1])
        found = packed(how.refit(unpacked(sys.stdin.buffer.read(), how.shapes)), how.shapes)
    sys.stdout.buffer.write(found)


@contextmanager
def _calls_first(*, last: bool) -> Iterator[None]:
    """Give way to calls by all that this system's kernel offers.

    To be ``last`` is to compute where nothing else does (Linux's idle class). Whoever shares a
    processor may wait a whole tick for it, of four milliseconds, unless another one falls idle
    meanwhile: so this process rests, again and again.
    """
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(_PATIENT)
    if last and hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # musl knows none, and some containers forbid it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGALRM, _rest)
    signal.setitimer(signal.ITIMER_REAL, _WORK)
    try:
        yield
    finally:  # in this order: one that is due already would begin anew
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _rest(*_: Any) -> None:
    sleep(_REST)
    signal.setitimer(signal.ITIMER_REAL, _WORK)


if __name__ == "__main__":
    main()
