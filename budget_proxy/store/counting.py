"""What a SQLite history's rows count of limits: kept up as rows come, change and go.

``used`` of an account is what its rows count; of it ``folded`` is what rows counted that are not
there any more. Every function works on an open connection; the transaction around it is the
caller's. All raise sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, MOST_A_ROW, NANO, Limit, Unit, Whose, runs_of
from budget_proxy.store import bulk, rows
from budget_proxy.store.sums import LATEST
from budget_proxy.store.tally import LONG_OVER, Counter, Tally, differences, totals
from budget_proxy.types import CallRecord

PRUNED: Final = 1_000
"""Accounts that go at once: nobody waits long for it."""

_ADD: Final = (
    "INSERT INTO accounts (limit_id, part, start, used) VALUES {rows} "
    "ON CONFLICT DO UPDATE SET used = used + excluded.used"
)
_FOLD: Final = (
    "INSERT INTO accounts (limit_id, part, start, folded) VALUES {rows} "
    "ON CONFLICT DO UPDATE SET folded = folded + excluded.folded"
)
_OPEN: Final = "INSERT OR IGNORE INTO leases (limit_id, part, start, owner) VALUES {rows}"
_TAKE: Final = (
    "UPDATE leases SET amount = amount - taken.column1 FROM (VALUES {rows}) AS taken "
    "WHERE limit_id = taken.column2 AND part = taken.column3 AND start = taken.column4 "
    "AND owner = taken.column5"
)
_PLAIN: Final = frozenset({"key", "user", "agent", "task", "model"})
_COLUMN: Final = {"tag": "tags"}


def _sane(expression: str) -> str:
    return f"min(max(coalesce({expression}, 0), 0), {MOST_A_ROW})"


_COST: Final = f"CAST(min(max(cost, 0) * {NANO:.1f}, {MOST_A_ROW}) + 0.5 AS INTEGER)"
AMOUNT: Final[Mapping[Unit, str]] = {
    "tokens": f"{_sane('input_tokens')} + {_sane('output_tokens')}",
    "output_tokens": _sane("output_tokens"),
    "usd": _sane(f"coalesce(charged, {_COST})"),
}
"""The same as limits.amount_of."""


def add(connection: sqlite3.Connection, tally: Tally, written: Sequence[CallRecord]) -> None:
    """Count rows that were just written; their instances hold so much less from now on."""
    amounts = tally.of(written)
    _use(connection, totals(amounts))
    taken = [(account, owner, amount) for (account, owner), amount in amounts.items() if owner]
    leased = [(*account, owner) for account, owner, _ in taken if tally.is_leased(account)]
    bulk.execute(connection, _OPEN, leased)
    bulk.execute(connection, _TAKE, [(amount, *account, owner) for account, owner, amount in taken])


def change(connection: sqlite3.Connection, tally: Tally, old: CallRecord, new: CallRecord) -> None:
    """Count a row in place of another. What its instance holds stays: nobody knew of it there."""
    amounts: defaultdict[Account, int] = defaultdict(int, totals(tally.of([new])))
    for account, amount in totals(tally.of([old])).items():
        amounts[account] -= amount
    _use(connection, amounts)


def fold(connection: sqlite3.Connection, tally: Tally, going: Iterable[CallRecord]) -> None:
    """Remember what rows count that are about to be deleted."""
    _keep(connection, totals(tally.of(going)))


def inherit(connection: sqlite3.Connection, limit: int, part: str, heir: int) -> None:
    """Have a limit without parts count what folded rows counted in a part of another."""
    found = connection.execute(
        "SELECT start, folded FROM accounts WHERE limit_id = ? AND part = ?", (limit, part)
    ).fetchall()
    amounts = {Account(heir, "", start): folded for start, folded in found if folded}
    _use(connection, amounts)
    _keep(connection, amounts)


def begin(connection: sqlite3.Connection, counter: Counter) -> None:
    """Make the accounts of a limit: what the rows count from the window on that it was made in."""
    low, high = counter.window(counter.begins)
    while True:
        found = _counted(connection, counter.limit, low, high)
        _use(connection, {Account(counter.limit.id, part, low): n for part, n in found.items()})
        later = connection.execute(
            "SELECT min(ts) FROM calls WHERE ts >= ? AND ts < ?", (high, LATEST)
        ).fetchone()
        if later[0] is None:
            return
        low, high = counter.window(later[0])


def used(connection: sqlite3.Connection, tally: Tally, now: float) -> dict[Account, int]:
    """Give the counters of the windows that a time lies in."""
    return _column(connection, tally, now, "used")


def counted(connection: sqlite3.Connection, tally: Tally, now: float) -> dict[Account, int]:
    """Count the same anew from the rows, and from what folded ones counted."""
    found = _column(connection, tally, now, "folded")
    for counter in tally.counters():
        low, high = counter.window(now)
        if low >= counter.begins:
            for part, amount in _counted(connection, counter.limit, low, high).items():
                account = Account(counter.limit.id, part, low)
                found[account] = found.get(account, 0) + amount
    return {account: amount for account, amount in found.items() if amount}


def recount(connection: sqlite3.Connection, tally: Tally, now: float) -> int:
    """Make those accounts what ``counted`` says; how many changed."""
    wrong = differences(used(connection, tally, now), counted(connection, tally, now))
    _use(connection, {account: right - has for account, (has, right) in wrong.items()})
    return len(wrong)


def unpriced(
    connection: sqlite3.Connection, start: float, after: int, limit: int
) -> list[CallRecord]:
    """Give rows from a time on, with an id above ``after``, that nobody has said a price of."""
    found = connection.execute(
        f"SELECT {', '.join(rows.CALL_COLUMNS)} FROM calls "  # noqa: S608 (our own names)
        "WHERE ts >= ? AND +id > ? AND charged IS NULL AND cost IS NULL ORDER BY id LIMIT ?",
        (start, after, limit),
    )
    return [rows.read_call(row) for row in found]


def charge(
    connection: sqlite3.Connection,
    tally: Tally,
    charged: Sequence[tuple[CallRecord, CallRecord]],
) -> None:
    """Say what rows count in money, in place of nothing."""
    for old, new in charged:
        connection.execute("UPDATE calls SET charged = ? WHERE id = ?", (new.charged, old.id))
        change(connection, tally, old, new)


def prune(connection: sqlite3.Connection, tally: Tally, now: float) -> None:
    """Let some accounts of windows go that are long over."""
    for limit in tally.limits.values():
        age = LONG_OVER.get(limit.window)
        if age is not None:
            over = (limit.id, now - age)
            gone = connection.execute(
                "SELECT part, start FROM accounts WHERE limit_id = ? AND start < ? LIMIT ?",
                (*over, PRUNED),
            ).fetchall()
            connection.executemany(
                "DELETE FROM accounts WHERE limit_id = ? AND part = ? AND start = ?",
                [(limit.id, *one) for one in gone],
            )


def _use(connection: sqlite3.Connection, amounts: Mapping[Account, int]) -> None:
    bulk.execute(connection, _ADD, [(*account, amount) for account, amount in amounts.items()])


def _keep(connection: sqlite3.Connection, amounts: Mapping[Account, int]) -> None:
    bulk.execute(connection, _FOLD, [(*account, amount) for account, amount in amounts.items()])


def _column(
    connection: sqlite3.Connection, tally: Tally, now: float, name: str
) -> dict[Account, int]:
    found: dict[Account, int] = {}
    for counter in tally.counters():
        start, _ = counter.window(now)
        for part, amount in connection.execute(
            f"SELECT part, {name} FROM accounts WHERE limit_id = ? AND start = ?",  # noqa: S608
            (counter.limit.id, start),
        ):
            found[Account(counter.limit.id, part, start)] = amount
    return found


def _counted(
    connection: sqlite3.Connection, limit: Limit, low: float, high: float
) -> dict[str, int]:
    """What the rows in [low, high) count, by part.

    SQLite adds up the rows that name the same; what is left is one sum for all who are alike.
    """
    names = [dimension for dimension, _ in limit.where]
    columns = [_COLUMN.get(name, name) for name in names]
    terms = ["ts >= ?", "ts < ?"]
    values: list[float | str] = [low, min(high, LATEST)]
    for term, value in _filters(limit):
        terms.append(term)
        values.append(value)
    grouping = f" GROUP BY {', '.join(columns)}" if columns else ""
    found: defaultdict[str, int] = defaultdict(int)
    for total, *texts in connection.execute(
        f"SELECT {', '.join([f'sum({AMOUNT[limit.unit]})', *columns])} "  # noqa: S608
        f"FROM calls WHERE {' AND '.join(terms)}{grouping}",
        values,
    ):
        if total:
            for part in limit.parts(_whose(dict(zip(names, texts, strict=True)))):
                found[part] += total
    return found


def _filters(limit: Limit) -> Iterator[tuple[str, str]]:
    """What rows must be like, as far as SQLite can tell it: ``Limit.parts`` has the last word."""
    for dimension, name in limit.where:
        if name == EACH or not name:
            continue
        if dimension in _PLAIN:
            yield f"{dimension} = ?", name
        elif dimension == "tag":
            yield "instr(tags, ?)", json.dumps(name)
        else:
            yield "instr(run || '/', ?) = 1", f"{name}/"


def _whose(names: Mapping[str, str | None]) -> Whose:
    plain = {name: names.get(name) or "" for name in _PLAIN}
    return Whose(**plain, tags=rows.texts(names.get("tag") or "[]"), runs=runs_of(names.get("run")))
