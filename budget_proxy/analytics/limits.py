"""Limits as people and programs ask for them: made, listed with how they stand, checked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from math import inf
from types import MappingProxyType
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.accounts import Balance
from budget_proxy.ledger.limits import DIMENSIONS, EACH, MOST, NANO, Limit, Unit
from budget_proxy.ledger.windows import window_of
from budget_proxy.policy.rollout import pseudonym
from budget_proxy.scope import EFFORTS
from budget_proxy.store.base import Complete, Store
from budget_proxy.store.issuing import find

_DIGITS: Final = 9
_EFFORTS: Final = tuple(effort for effort in EFFORTS if effort != "auto")

_FROM_NOW_ON: Final = MappingProxyType(
    {
        "refuse": "calls are refused from now on",
        "degrade": "calls fall back from now on, or are refused",
        "alert": "that is an alert, and calls go on",
    }
)
_ALWAYS_NAMED: Final = ("agent", "model")

Amount = int | float
"""Tokens, or US dollars."""


class UnknownLimit(InvalidInput):
    """There is no limit of that number."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account of a limit stands in the window that ``ends`` then (``None``: never).

    ``part`` is the name that it is of, empty if the limit keeps one account, or for calls that
    name nobody. ``held`` is what ``owners`` processes hold besides what is ``used``; ``left`` is
    what nobody holds. ``open`` calls are under way, which may use ``bound`` more than they hold.
    """

    part: str
    used: Amount
    held: Amount
    left: Amount
    share: float | None
    owners: int
    open: int
    bound: Amount
    ends: float | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A limit, and its accounts in the running window, those used most first.

    ``amount`` and what stands in ``accounts`` are tokens or, where the unit is "usd", US dollars.
    ``expired`` calls since it was ``created`` did not settle within an hour, so that what they held
    was let go.
    """

    id: int
    name: str
    unit: Unit
    amount: Amount
    window: str
    where: dict[str, str]
    action: str
    model: str | None
    effort: str | None
    zone: str
    hold: str
    created: float
    expired: int
    accounts: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force over the history ``store`` as of ``now`` (Unix seconds).

    Of open calls and what they hold, as processes said in the second before.
    """

    store: str
    now: float
    limits: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class Added:
    """A limit that was put into force, and what there is to know of it.

    ``unpriced`` calls of the running window have no known price: they count at the dearest one
    of their provider.
    """

    store: str
    limit: Listed
    unpriced: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """A limit that is in force no more."""

    store: str
    id: int


@dataclass(frozen=True, slots=True)
class Difference:
    """An account whose counter is not what the history's rows count."""

    limit: int
    part: str
    start: float
    used: Amount
    counted: Amount


@dataclass(frozen=True, slots=True)
class Check:
    """The counters of the running windows beside the history: what differs, and what was done."""

    store: str
    now: float
    accounts: int
    differences: tuple[Difference, ...]
    repaired: int


def amount_of(given: Mapping[Unit, int | str | None]) -> tuple[Unit, int]:
    """The unit and amount of a limit, of which exactly one is given; money in US dollars.

    Money is counted in nano-dollars, so that it has at most nine decimals. Raises InvalidInput.
    """
    said = [(unit, value) for unit, value in given.items() if value is not None]
    if len(said) != 1:
        raise InvalidInput(
            "a limit is of tokens (input and output), of output tokens, or of US dollars: say one "
            "of --tokens, --output-tokens and --usd"
        )
    unit, value = said[0]
    return unit, nano_dollars(str(value)) if unit == "usd" else int(value)


def nano_dollars(text: str) -> int:
    """US dollars, as they are written, in nano-dollars, exactly. Raises InvalidInput."""
    try:
        nano = Decimal(text.strip().removeprefix("$")).scaleb(_DIGITS)
    except InvalidOperation:
        nano = Decimal("nan")
    if not nano.is_finite() or nano < 0:
        raise InvalidInput(f"US dollars are written as 0.25 or 100, not {text[:40]!r}")
    if nano > MOST:
        raise InvalidInput(f"a limit is at most ${MOST // NANO:,}, not {text[:40]}")
    if nano != nano.to_integral_value():
        raise InvalidInput(f"US dollars have at most {_DIGITS} decimals here, not {text[:40]}")
    return int(nano)


def _where(
    store: Store, names: Mapping[str, str | None], now: float
) -> tuple[tuple[str, str], ...]:
    """Whom a limit concerns; a user by the pseudonym that rows have, a key that there is.

    Raises InvalidInput and StoreError.
    """
    where = []
    for dimension in DIMENSIONS:
        name = names.get(dimension)
        if name is None:
            continue
        if dimension == "key" and name not in {EACH, ""}:
            name = find(store, name, now).id  # of a key that is none nothing would ever count
        elif dimension == "user" and name not in {EACH, ""}:
            salt = bytes.fromhex(store.meta("salt", secrets.token_hex(32)))
            name = pseudonym(salt, "user", name)
        where.append((dimension, name))
    return tuple(where)


def add(
    store: Store, limit: Limit, names: Mapping[str, str | None], charge: Complete, now: float
) -> Added:
    """Put a limit into force for those that are named, of each dimension of them.

    ``charge`` charges rows that have no price. Raises InvalidInput, also for a virtual key that is
    not there, and StoreError.
    """
    if limit.effort is not None and limit.effort not in _EFFORTS:
        raise InvalidInput(f"an effort is one of {', '.join(_EFFORTS)}, not {limit.effort!r}")
    start, _ = window_of(limit.window, limit.zone, now)
    limit = replace(limit, where=_where(store, names, now), created=now)
    unpriced = store.charge(charge, start) if limit.unit == "usd" else 0
    made = _one(store, store.save_limit(limit), now)
    notes = _warnings(made)
    shared = [name for name, whose in limit.where if whose == EACH and name not in _ALWAYS_NAMED]
    notes += [f"All calls that name no {name} share one account of it." for name in shared]
    if unpriced:
        notes.append(
            f"{unpriced} call{'' if unpriced == 1 else 's'} of the running window without a known "
            "price: counted at the dearest price of the provider."
        )
    return Added(store.url, made, unpriced, tuple(notes))


def change(store: Store, id_: int, unit: Unit, amount: int, now: float) -> Added:
    """Give a limit another amount; what counts stays.

    Raises UnknownLimit, InvalidInput where it is in another unit, and StoreError.
    """
    limit = next((one for one in store.limits() if one.id == id_), None)
    if limit is None:
        raise _missing(store, id_)
    if limit.unit != unit:
        raise InvalidInput(f"limit {id_} is in {limit.unit}, not in {unit}: add another one")
    store.save_limit(replace(limit, amount=amount))
    made = _one(store, id_, now)
    return Added(store.url, made, 0, tuple(_warnings(made)))


def _warnings(made: Listed) -> list[str]:
    """What an amount means at once, where that is more than somebody may have meant."""
    if made.amount == 0:
        return ["It is 0: every call that it concerns is refused."]
    if any(one.used >= made.amount for one in made.accounts):
        return [f"It is passed already by what was used before: {_FROM_NOW_ON[made.action]}."]
    return []


def remove(store: Store, id_: int) -> Removed:
    """Take a limit out of force. Raises UnknownLimit and StoreError."""
    if not store.remove_limit(id_):
        raise _missing(store, id_)
    return Removed(store.url, id_)


def overview(store: Store, now: float) -> Limits:
    """The limits in force, and how they stand. Raises StoreError."""
    limits, balances, expired = store.limits(), store.balances(now), store.expired()
    listed = (_listed(one, balances, expired.get(one.id, 0), now) for one in limits)
    return Limits(store.url, now, tuple(listed))


def of_key(store: Store, key: str, now: float) -> tuple[Listed, ...]:
    """The limits that name a virtual key, or each, as they stand for it. Raises StoreError."""
    found = []
    for limit in overview(store, now).limits:
        whose = limit.where.get("key")
        if whose == key:
            found.append(limit)
        elif whose == EACH:
            own = tuple(account for account in limit.accounts if account.part == key)
            found.append(replace(limit, accounts=own))
    return tuple(found)


def check(store: Store, now: float, *, repair: bool = False) -> Check:
    """Compare counters with the history; ``repair`` counts anew. Raises StoreError."""
    units = {limit.id: limit.unit for limit in store.limits()}
    wrong = store.miscounted(now)
    found = tuple(
        Difference(
            account.limit, account.part, account.start,
            _shown(units.get(account.limit, "tokens"), has),
            _shown(units.get(account.limit, "tokens"), should),
        )
        for account, (has, should) in wrong.items()
    )  # fmt: skip
    repaired = store.recount(now) if repair and wrong else 0
    return Check(store.url, now, len(store.balances(now)), found, repaired)


def _one(store: Store, id_: int, now: float) -> Listed:
    return next(one for one in overview(store, now).limits if one.id == id_)


def _missing(store: Store, id_: int) -> UnknownLimit:
    known = ", ".join(str(one.id) for one in store.limits()) or "none"
    return UnknownLimit(f"there is no limit {id_}; there are {known}")


def _listed(limit: Limit, balances: Sequence[Balance], expired: int, now: float) -> Listed:
    its = [balance for balance in balances if balance.account.limit == limit.id]
    its.sort(key=lambda balance: (-balance.used - balance.held, balance.account.part))
    return Listed(
        limit.id, limit.name, limit.unit, _shown(limit.unit, limit.amount), limit.window,
        dict(limit.where), limit.action, limit.model, limit.effort, limit.zone, limit.hold,
        limit.created, expired, tuple(_standing(limit, balance, now) for balance in its),
    )  # fmt: skip


def _standing(limit: Limit, balance: Balance, now: float) -> Standing:
    _, end = window_of(limit.window, limit.zone, now)
    taken = balance.used + balance.held
    bound = 0 if limit.hold == "worst" else max(balance.worst - balance.reserved, 0)
    return Standing(
        balance.account.part,
        _shown(limit.unit, balance.used),
        _shown(limit.unit, balance.held),
        _shown(limit.unit, max(limit.amount - taken, 0)),
        taken / limit.amount if limit.amount else None,
        balance.owners,
        balance.open,
        _shown(limit.unit, bound),
        None if end == inf else end,
    )


def _shown(unit: str, amount: int) -> Amount:
    return amount / NANO if unit == "usd" else amount
