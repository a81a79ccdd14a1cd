"""A forked child does first what an object asked for, if it is still there."""

from __future__ import annotations

import gc
import os
import time

import pytest

from budget_proxy.forks import after_fork, load_aside


class Counted:
    """Counts how often it was told of a fork."""

    def __init__(self) -> None:
        self.told = 0
        after_fork(self.tell)

    def tell(self) -> None:
        """A child began."""
        self.told += 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_is_told_and_its_parent_is_not() -> None:
    """Objects that are gone by then are no trouble."""
    counted, gone = Counted(), Counted()
    del gone
    gc.collect()
    child = os.fork()
    if child == 0:
        os._exit(counted.told)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert counted.told == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_waits_for_what_is_being_loaded() -> None:
    """A child would have the half of it, and wait for the rest for ever."""
    loaded = []

    def load() -> None:
        time.sleep(0.2)
        loaded.append(True)

    load_aside(load, "loading")
    child = os.fork()
    if child == 0:
        os._exit(len(loaded))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
