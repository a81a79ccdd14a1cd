"""A SQLite file's open connections: each in use by one thread at a time, none across a fork.

A pool and not one connection a thread: worker threads come and go, and theirs would stay
open. SQLite keeps its locks by process, so a child that inherits an open connection can
damage the file even through connections of its own; before a fork every pool therefore
waits for its connections to come back, and closes them.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from budget_proxy.errors import StoreError
from budget_proxy.store.turns import Turns

BUSY: Final = 5.0
"""Seconds to wait for another process's write before giving up."""

_KEPT: Final = 4
_PRAGMAS: Final = ("synchronous = NORMAL", "foreign_keys = OFF", "recursive_triggers = OFF")


class Connections:
    """The pool of one file. ``use`` raises StoreError after ``close``, else sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Condition()
        self._turns = Turns()
        self._idle: list[sqlite3.Connection] = []
        self._used = 0
        self._closed = False
        _pools.add(self)

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in autocommit mode. After an error it is closed, which rolls back."""
        connection = self._take()
        clean = False
        try:
            yield connection
            clean = not connection.in_transaction
        finally:
            self._give(connection if clean else None)
            if not clean:
                connection.close()

    @contextmanager
    def turn(self, *, urgent: bool = False) -> Iterator[None]:
        """Wait for the other threads that write, in line; ``urgent``: before most of them.

        SQLite has those who wait try again and again: of many, some would never have their
        turn. It has the last word all the same, for other processes and after BUSY seconds.
        """
        turns = self._turns
        mine = turns.enter(BUSY, urgent=urgent)
        try:
            yield
        finally:
            if mine:
                turns.leave()

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def hold(self) -> None:
        """Before a fork: wait until nothing is in use, close all, keep others out."""
        self._lock.acquire()
        self._lock.wait_for(lambda: self._used == 0, timeout=BUSY)
        self._close_idle()

    def release(self) -> None:
        """After a fork, in the parent."""
        self._lock.release()

    def renew(self) -> None:
        """After a fork, in the child: the locks, and threads that would wait, are the parent's."""
        self._lock = threading.Condition()
        self._turns = Turns()
        self._used = 0

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"the history {self._path} has been closed")
            self._used += 1
            if self._idle:
                return self._idle.pop()
        connection = None
        try:
            connection = _connect(self._path)
        finally:
            if connection is None:
                self._give(None)
        return connection

    def _give(self, connection: sqlite3.Connection | None) -> None:
        with self._lock:
            if connection is not None:
                if self._closed or len(self._idle) >= _KEPT:
                    connection.close()
                else:
                    self._idle.append(connection)
            self._used -= 1
            self._lock.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    ready = False
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        ready = True
    finally:
        if not ready:
            connection.close()
    return connection


def enable_wal(connection: sqlite3.Connection) -> None:
    """Let readers and the writer not wait for each other. Raises sqlite3.Error.

    SQLite does not wait here when another process is switching at the same moment.
    """
    give_up = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


_pools: weakref.WeakSet[Connections] = weakref.WeakSet()
_held: list[Connections] = []
_forking = threading.Lock()
"""One fork at a time: two threads' would let go of what the other holds."""


def _before_fork() -> None:
    _forking.acquire()
    _held[:] = list(_pools)
    for pool in _held:
        pool.hold()


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()
    _forking.release()


def _after_fork_in_child() -> None:
    while _held:
        _held.pop().renew()
    _forking.release()


with suppress(AttributeError):  # Windows has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
