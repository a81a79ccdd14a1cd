"""Accounts: where usage is counted, one for each limit, value and window."""

from __future__ import annotations

from typing import Final, NamedTuple

from budget_proxy.types import frozen

SHARES: Final = 4
"""Into so many parts what is left is divided for each process, so that it asks seldom."""


class Account(NamedTuple):
    """An account: the limit's id, the account's name (``Limit.parts``), the window's start."""

    limit: int
    part: str
    start: float


@frozen
class Grant:
    """What a store granted of an account to one process.

    ``amount`` adds to what that process held; it may be 0. ``used`` is what the rows of the
    history count there, ``held`` what all processes hold besides, this grant included.
    """

    amount: int
    used: int
    held: int


@frozen
class Open:
    """The calls under way that one process holds something of an account for.

    How many they are, what they hold, and what they would use at worst: at most the difference
    can be used beyond what is held.
    """

    calls: int
    reserved: int
    worst: int


@frozen
class Balance:
    """An account as the store has it: what rows count there, and what processes hold besides.

    ``owners`` is the number of processes that hold something. ``open``, ``reserved`` and
    ``worst`` add up what they last told of calls under way (``Open``).
    """

    account: Account
    used: int
    held: int
    owners: int
    open: int = 0
    reserved: int = 0
    worst: int = 0


def granted(wanted: int, left: int, has: int, owners: int) -> int:
    """What is granted of what is ``left``: more than wanted while there is much, or nothing.

    Nothing too where rows count and others hold more than the limit already, although ``left``
    is above 0 because the one who asks ``has`` used more than it was granted (below 0).
    ``owners`` is the number of processes.
    """
    if not 0 < wanted <= left or left + has < 0:
        return 0
    return max(wanted, left // (SHARES * max(owners, 1)))
