"""The command line ``budget-proxy``: one module a command. Heavy libraries load on use."""

from __future__ import annotations

import os
from typing import Final

_ONE_THREAD: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Forecasts work on small arrays, which more threads make slower. numpy reads them as it loads."""


def main() -> None:
    """Run the command line and exit with its code."""
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    from budget_proxy.cli.app import app

    app(prog_name="budget-proxy")
