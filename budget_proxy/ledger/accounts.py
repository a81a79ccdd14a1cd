"""Accounts: where usage is counted, one for each limit, value and window."""

from __future__ import annotations

from typing import NamedTuple

from budget_proxy.types import frozen


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
class Balance:
    """An account as the store has it: what rows count there, and what processes hold besides.

    ``owners`` is the number of processes that hold something.
    """

    account: Account
    used: int
    held: int
    owners: int
