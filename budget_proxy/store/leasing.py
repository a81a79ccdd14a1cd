"""What processes hold of limits in a SQLite history: leases, each of one owner and account.

An owner's leases hold as long as it renews them. Then what it holds counts no more, but it may
go on holding it as long as nobody else was given that room (a machine that slept). Every function
works on an open connection; the transaction around it is the caller's. All raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from budget_proxy.ledger.accounts import Account, Balance, Grant, Open, granted
from budget_proxy.ledger.limits import Limit
from budget_proxy.ledger.windows import window_of
from budget_proxy.store import counting
from budget_proxy.store.tally import FORGOTTEN, ORPHANED, OVER, Tally

_WHERE: Final = "limit_id = ? AND part = ? AND start = ?"
_OTHERS: Final = (
    "SELECT coalesce(sum(max(amount, 0)), 0) FROM leases JOIN lessees USING (owner) "  # noqa: S608 (our own names)
    f"WHERE {_WHERE} AND owner <> ? AND expires > ?"
)
_HOLD: Final = (
    "INSERT INTO leases (limit_id, part, start, owner, amount) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
)
_TELL: Final = (
    "INSERT INTO leases (limit_id, part, start, owner, open, reserved, worst) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "open = excluded.open, reserved = excluded.reserved, worst = excluded.worst"
)


def lease(
    connection: sqlite3.Connection,
    tally: Tally,
    owner: str,
    wanted: Mapping[Account, int],
    now: float,
    ttl: float,
) -> dict[Account, Grant]:
    """Hold so much more of each account, where that is left; accounts of no limit are left out."""
    _hold_on(connection, tally, owner, now, ttl)
    grants = offers(connection, tally, owner, wanted, now)
    connection.executemany(
        _HOLD, [(*account, owner, one.amount) for account, one in grants.items() if one.amount]
    )
    return grants


def is_lessee(connection: sqlite3.Connection, owner: str, now: float) -> bool:
    """Whether what an owner leased holds."""
    found = connection.execute(
        "SELECT 1 FROM lessees WHERE owner = ? AND expires > ?", (owner, now)
    )
    return found.fetchone() is not None


def offers(
    connection: sqlite3.Connection,
    tally: Tally,
    owner: str,
    wanted: Mapping[Account, int],
    now: float,
) -> dict[Account, Grant]:
    """What would be granted of each account. Writes nothing."""
    owners = connection.execute("SELECT count(*) FROM lessees WHERE expires > ?", (now,))
    living = int(owners.fetchone()[0])
    found = {}
    for account, amount in wanted.items():
        limit = tally.limits.get(account.limit)
        if limit is not None:
            has, used, others = _state(connection, account, owner, now)
            left = limit.amount - used - others - has
            given = granted(amount, left, has, living)
            found[account] = Grant(given, used, others + max(has + given, 0))
    return found


def give_back(connection: sqlite3.Connection, owner: str, amounts: Mapping[Account, int]) -> None:
    """Hold so much less of each account; a lease of nothing goes."""
    connection.executemany(
        f"UPDATE leases SET amount = amount - ? WHERE {_WHERE} AND owner = ?",  # noqa: S608 (our own names)
        [(amount, *account, owner) for account, amount in amounts.items()],
    )
    connection.executemany(
        f"DELETE FROM leases WHERE {_WHERE} AND owner = ? AND amount = 0 AND open = 0",  # noqa: S608 (our own names)
        [(*account, owner) for account in amounts],
    )


def renew(connection: sqlite3.Connection, tally: Tally, owner: str, now: float, ttl: float) -> bool:
    """Hold on to all of an owner's leases; false where they were void by then."""
    _hold_on(connection, tally, owner, now, ttl)
    void = connection.execute(
        "UPDATE lessees SET void = 0 WHERE owner = ? AND void RETURNING owner", (owner,)
    ).fetchall()
    _tidy(connection, tally, now)
    return not void


def tell(connection: sqlite3.Connection, owner: str, open_: Mapping[Account, Open]) -> None:
    """Say which calls an owner has under way, in place of what it said before.

    Of accounts of which it has nothing any more it has no lease: rows would come off it that its
    process, which forgot it, does not count (of a value that a named limit takes over, say).
    """
    connection.execute(
        "UPDATE leases SET open = 0, reserved = 0, worst = 0 WHERE owner = ? AND open", (owner,)
    )
    connection.executemany(
        _TELL,
        [(*account, owner, o.calls, o.reserved, o.worst) for account, o in open_.items()],
    )
    connection.execute("DELETE FROM leases WHERE owner = ? AND amount = 0 AND open = 0", (owner,))


def balances(connection: sqlite3.Connection, tally: Tally, now: float) -> list[Balance]:
    """Give the accounts that calls are held to, in the windows that a time lies in."""
    found = []
    used = counting.used(connection, tally, now)
    for limit in tally.limits.values():
        start, _ = window_of(limit.window, limit.zone, now)
        held = _held(connection, limit, start, now)
        its = {account for account in used if account.limit == limit.id} | set(held)
        if not limit.by:
            its.add(Account(limit.id, "", start))
        for account in sorted(filter(tally.holds, its)):
            numbers = held.get(account, (0, 0, 0, 0, 0))
            found.append(Balance(account, used.get(account, 0), *numbers))
    return found


def _state(
    connection: sqlite3.Connection, account: Account, owner: str, now: float
) -> tuple[int, int, int]:
    """What an owner has of an account, what rows count there, and what others hold."""
    has = connection.execute(
        f"SELECT amount FROM leases WHERE {_WHERE} AND owner = ?",  # noqa: S608 (our own names)
        (*account, owner),
    ).fetchone()
    used = connection.execute(
        f"SELECT used FROM accounts WHERE {_WHERE}",  # noqa: S608 (our own names)
        account,
    ).fetchone()
    others = connection.execute(_OTHERS, (*account, owner, now)).fetchone()
    return has[0] if has else 0, used[0] if used else 0, others[0]


def _hold_on(
    connection: sqlite3.Connection, tally: Tally, owner: str, now: float, ttl: float
) -> None:
    """Let an owner's leases hold for ``ttl`` seconds more.

    If they held no more and others were given what it had, they are void, all of them: it is
    told so when it renews them. A clock that was set back makes no lease longer than ``ttl``.
    """
    connection.execute("UPDATE lessees SET expires = ? WHERE expires > ?", (now + ttl, now + ttl))
    late = connection.execute(
        "SELECT 1 FROM lessees WHERE owner = ? AND expires <= ?", (owner, now)
    ).fetchone()
    void = late is not None and not _still_there(connection, tally, owner, now)
    if void:
        connection.execute("UPDATE leases SET amount = min(amount, 0) WHERE owner = ?", (owner,))
    connection.execute(
        "INSERT INTO lessees (owner, expires, void) VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
        "SET expires = excluded.expires, void = max(void, excluded.void)",
        (owner, now + ttl, int(void)),
    )


def _still_there(connection: sqlite3.Connection, tally: Tally, owner: str, now: float) -> bool:
    """Whether all that an owner had is still left."""
    leases = connection.execute(
        "SELECT limit_id, part, start FROM leases WHERE owner = ? AND amount > 0", (owner,)
    ).fetchall()
    for account in map(Account._make, leases):
        limit = tally.limits.get(account.limit)
        has, used, others = _state(connection, account, owner, now)
        if limit is not None and has > limit.amount - used - others:
            return False
    return True


def _held(
    connection: sqlite3.Connection, limit: Limit, start: float, now: float
) -> dict[Account, tuple[int, int, int, int, int]]:
    """What is held of a limit, by how many, and what they told of open calls; by account."""
    found: defaultdict[Account, tuple[int, int, int, int, int]] = defaultdict(lambda: (0,) * 5)
    for part, *numbers in connection.execute(
        "SELECT part, sum(max(amount, 0)), sum(amount > 0), sum(open), sum(reserved), sum(worst) "
        "FROM leases JOIN lessees USING (owner) "
        "WHERE limit_id = ? AND start = ? AND expires > ? GROUP BY part",
        (limit.id, start, now),
    ):
        held, owners, open_, reserved, worst = numbers
        found[Account(limit.id, part, start)] = held, owners, open_, reserved, worst
    return found


def _tidy(connection: sqlite3.Connection, tally: Tally, now: float) -> None:
    """Delete leases of owners that are gone, and of windows that are over.

    One that has used more than it had keeps that until it is forgotten: it may only have slept, and
    goes on owing it.
    """
    gone = connection.execute(
        "UPDATE lessees SET void = 1 WHERE expires < ? AND NOT void RETURNING owner",
        (now - ORPHANED,),
    ).fetchall()
    connection.executemany("DELETE FROM leases WHERE owner = ? AND amount >= 0", gone)
    forgotten = connection.execute(
        "DELETE FROM lessees WHERE expires < ? RETURNING owner", (now - FORGOTTEN,)
    ).fetchall()
    connection.executemany("DELETE FROM leases WHERE owner = ?", forgotten)
    for limit in tally.limits.values():
        over, _ = window_of(limit.window, limit.zone, now - OVER)
        connection.execute("DELETE FROM leases WHERE limit_id = ? AND start < ?", (limit.id, over))
