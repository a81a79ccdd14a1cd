"""What a forked child does first, and what a fork waits for."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_LONGEST: Final = 10.0
"""Seconds that a fork waits for modules to be loaded."""

_loading: list[threading.Thread] = []


def after_fork(method: Callable[[], None]) -> None:
    """Have a forked child call a bound method, if its object is still there by then.

    Where there is no fork (Windows), nothing is to be done.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_if_alive(weakref.WeakMethod(method)))


def load_aside(load: Callable[[], None], name: str) -> None:
    """Load modules in a thread of their own.

    A fork waits for it: a child would have the half of them, and their locks held by nobody.
    """
    _loading[:] = [thread for thread in _loading if thread.is_alive()]
    thread = threading.Thread(target=load, name=name, daemon=True)
    thread.start()
    _loading.append(thread)


def _await_loading() -> None:
    while _loading:
        _loading.pop().join(_LONGEST)


def _if_alive(method: weakref.WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    def call() -> None:
        target = method()
        if target is not None:
            target()

    return call


with suppress(AttributeError):  # Windows has no fork
    os.register_at_fork(before=_await_loading)
