"""What a forked child does first."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def after_fork(method: Callable[[], None]) -> None:
    """Have a forked child call a bound method, if its object is still there by then.

    Where there is no fork (Windows), nothing is to be done.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_if_alive(weakref.WeakMethod(method)))


def _if_alive(method: weakref.WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    def call() -> None:
        target = method()
        if target is not None:
            target()

    return call
