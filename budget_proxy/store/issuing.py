"""Virtual keys made, replaced, revoked and listed: what the command line and HTTP both do.

A secret is in what ``create`` and ``rotate`` give, and nowhere else, ever after.
"""

from __future__ import annotations

from dataclasses import dataclass

from budget_proxy.errors import InvalidInput
from budget_proxy.store.base import Store
from budget_proxy.store.keys import (
    Kept,
    Role,
    State,
    VirtualKey,
    id_in,
    make,
    new_secret,
    token_of,
)


class UnknownKey(InvalidInput):
    """There is no key of that id."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A virtual key as people see it. Times are Unix seconds; no ``models``: every model.

    The secret before the last rotation holds until ``former_until``.
    """

    id: str
    name: str
    role: Role
    models: tuple[str, ...]
    state: State
    created: float
    expires: float | None
    revoked: float | None
    rotated: float | None
    former_until: float | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its ``secret``, which callers send: it is shown this once."""

    key: ListedKey
    secret: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Every virtual key of a history, the oldest first."""

    store: str
    keys: tuple[ListedKey, ...]


def create(
    store: Store,
    name: str,
    now: float,
    *,
    role: Role = "caller",
    models: tuple[str, ...] = (),
    seconds: float | None = None,
) -> IssuedKey:
    """Make a key that holds for ``seconds``, or until it is revoked. Raises InvalidInput."""
    kept, secret = make(name, now, role=role, models=models, seconds=seconds)
    store.add_key(kept)
    return IssuedKey(listed(kept.key, now), token_of(kept.key.id, secret))


def rotate(store: Store, id_: str, now: float, *, grace: float = 0.0) -> IssuedKey:
    """Give a key a new secret; the one until now holds ``grace`` seconds longer.

    Raises UnknownKey, and InvalidInput where the key is not in force.
    """
    secret = new_secret()
    changed = store.change_key(id_in(id_), lambda was: was.rotated(secret, now, grace))
    kept = _there(store, changed, id_)
    return IssuedKey(listed(kept.key, now), token_of(kept.key.id, secret))


def revoke(store: Store, id_: str, now: float) -> ListedKey:
    """End a key at once. One that was revoked earlier stays so. Raises UnknownKey."""
    kept = _there(store, store.change_key(id_in(id_), lambda was: was.revoked(now)), id_)
    return listed(kept.key, now)


def find(store: Store, id_: str, now: float) -> ListedKey:
    """One key. Raises UnknownKey."""
    found = next((kept for kept in store.keys_since() if kept.key.id == id_in(id_)), None)
    return listed(_there(store, found, id_).key, now)


def listing(store: Store, url: str, now: float) -> Keys:
    """Every key; ``url`` is how the store is to be named."""
    found = sorted((kept.key for kept in store.keys_since()), key=lambda key: (key.created, key.id))
    return Keys(url, tuple(listed(key, now) for key in found))


def listed(key: VirtualKey, now: float) -> ListedKey:
    """A key as people see it at a time."""
    state = key.state(now)
    graced = key.former_until is not None and now < key.former_until and state == "active"
    return ListedKey(
        key.id, key.name, key.role, key.models, state, key.created, key.expires, key.revoked,
        key.rotated, key.former_until if graced else None,
    )  # fmt: skip


def _there(store: Store, kept: Kept | None, id_: str) -> Kept:
    if kept is not None:
        return kept
    named = [kept.key.id for kept in store.keys_since() if kept.key.name == id_]
    hint = (
        f"it is the name of {', '.join(named)}" if named else "`budget-proxy keys list` shows all"
    )
    raise UnknownKey(f"there is no key {id_in(id_)!r}: {hint}")
