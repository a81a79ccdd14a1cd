"""The process that fits: a snapshot comes in on its input, what was fitted goes out.

    python -m budget_proxy.training.process STRATEGY

It reads no history, opens no connection, and ends with its one answer.
"""

from __future__ import annotations

import os
import sys
from typing import Final

_PATIENT: Final = 10
"""Calls go first: this is what the kernel is told of it."""


def main() -> None:
    """Read, fit, write."""
    if hasattr(os, "nice"):
        os.nice(_PATIENT)
    from budget_proxy.predict.strategies import fitting
    from budget_proxy.training.arrays import packed, unpacked

    how = fitting(sys.argv[1])
    snapshot = unpacked(sys.stdin.buffer.read(), how.shapes)
    sys.stdout.buffer.write(packed(how.refit(snapshot), how.shapes))


if __name__ == "__main__":
    main()
