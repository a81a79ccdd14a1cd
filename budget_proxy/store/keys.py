"""Virtual keys: what callers of the proxy identify themselves by. No database.

A key is handed out as one text, ``bk_<id>_<secret>``. The id is public: it stands in the history
and in lists. Of the secret nothing is kept but a salted hash. No slow one (scrypt, argon2): those
make it dear to guess what people think up, and 256 random bits cannot be guessed at any price;
all that a slow hash would do is to delay every call, and to let strangers keep the proxy busy.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import field, replace
from fnmatch import fnmatchcase
from hmac import compare_digest
from typing import Final, Literal, get_args

from budget_proxy.errors import InvalidInput
from budget_proxy.types import frozen

Role = Literal["caller", "approver", "admin"]
State = Literal["active", "expired", "revoked"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Each may do what those before it may."""
PREFIX: Final = "bk_"
LONGEST: Final = 3650 * 86_400.0
"""Seconds that a key may be made for; without an expiry it holds until it is revoked."""
LONGEST_GRACE: Final = 30 * 86_400.0
"""Seconds that a replaced secret may go on to hold."""
MOST_MODELS: Final = 100

_ID: Final = r"bk_[0-9a-f]{16}"
_TOKEN: Final = re.compile(rf"({_ID})_([0-9a-f]{{64}})")
_BYTES: Final = 32
_NOBODYS: Final = bytes(_BYTES)
"""Stands where there is no digest: no secret is known that has this one."""
_LONGEST_NAME: Final = 100
_LONGEST_PATTERN: Final = 200


@frozen
class VirtualKey:
    """Who may call, and what for. ``models`` are patterns (``gpt-5*``); none means every model.

    Times are Unix seconds. The secret before the last rotation holds until ``former_until``.
    """

    id: str
    name: str
    created: float
    role: Role = "caller"
    models: tuple[str, ...] = ()
    expires: float | None = None
    revoked: float | None = None
    rotated: float | None = None
    former_until: float | None = None

    def may(self, role: Role) -> bool:
        """Whether it may do what ``role`` may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def takes(self, model: str) -> bool:
        """Whether it may ask for a model of this name, as the caller spells it."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)

    def state(self, now: float) -> State:
        """Whether it is in force."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "active"


@frozen
class Lock:
    """What a secret is held against: the digest of it, and of the one that it replaced."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    former: bytes = field(default=_NOBODYS, repr=False)

    @classmethod
    def of(cls, secret: str) -> Lock:
        """A fresh lock that this secret opens."""
        salt = secrets.token_bytes(16)
        return cls(salt, _digest(salt, secret))

    def opens(self, secret: str, *, former: bool) -> bool:
        """Whether a secret opens it; the former one only where that still holds.

        Both comparisons are always made, and take the same time whatever the secret.
        """
        digest = _digest(self.salt, secret)
        current = compare_digest(digest, self.digest)
        replaced = compare_digest(digest, self.former)
        return current or (replaced and former)


@frozen
class Kept:
    """A key as it is stored. ``version`` is the store's, and grows with every change to any key."""

    key: VirtualKey
    lock: Lock
    version: int = 0

    def admits(self, secret: str, now: float) -> bool:
        """Whether a request with this secret is the key's, and the key is in force."""
        former = self.key.former_until is not None and now < self.key.former_until
        opened = self.lock.opens(secret, former=former)
        return opened and self.key.state(now) == "active"

    def rotated(self, secret: str, now: float, grace: float = 0.0) -> Kept:
        """The same key with a new secret; the one until now holds ``grace`` seconds longer.

        A secret that was replaced earlier ends at once. Raises InvalidInput where the key is not
        in force, or the grace is too long.
        """
        if (state := self.key.state(now)) != "active":
            raise InvalidInput(f"the key {self.key.id} is {state}: make a new one")
        if not 0 <= grace <= LONGEST_GRACE:
            raise InvalidInput("the secret before may hold 30 days (30d) longer at most")
        lock, until = Lock.of(secret), None
        if grace:  # one salt for both, since what a request brings is digested once
            salt, until = self.lock.salt, now + grace
            lock = Lock(salt, _digest(salt, secret), former=self.lock.digest)
        return replace(self, key=replace(self.key, rotated=now, former_until=until), lock=lock)

    def revoked(self, now: float) -> Kept:
        """The same key, in force no more; since when, stays as it was said first."""
        if self.key.revoked is not None:
            return self
        return replace(self, key=replace(self.key, revoked=now, former_until=None))


def make(
    name: str,
    now: float,
    *,
    role: Role = "caller",
    models: tuple[str, ...] = (),
    seconds: float | None = None,
) -> tuple[Kept, str]:
    """A new key that holds for ``seconds`` (``None``: until it is revoked), and its secret.

    Raises InvalidInput where something cannot be so.
    """
    if role not in ROLES:
        raise InvalidInput(f"role must be one of {', '.join(ROLES)}, not {role[:40]!r}")
    if seconds is not None and not 1 <= seconds <= LONGEST:
        raise InvalidInput("a key may hold from one second (1s) to ten years (3650d)")
    key = VirtualKey(
        id=PREFIX + secrets.token_hex(8),
        name=_checked("name", name, _LONGEST_NAME),
        created=now,
        role=role,
        models=_patterns(models),
        expires=None if seconds is None else now + seconds,
    )
    secret = new_secret()
    return Kept(key, Lock.of(secret)), secret


def new_secret() -> str:
    """256 random bits, as text."""
    return secrets.token_hex(_BYTES)


def token_of(id_: str, secret: str) -> str:
    """The text that a caller is given."""
    return f"{id_}_{secret}"


def parts_of(token: str) -> tuple[str, str]:
    """Id and secret of what a caller sent; of what is no key at all, two that nobody has."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else ("", "")


def id_in(text: str) -> str:
    """The id that somebody means who wrote an id, or pasted a whole key; never a secret."""
    found = re.match(_ID, text)
    return found[0] if found else text[: len(PREFIX) + 16]


def _digest(salt: bytes, secret: str) -> bytes:
    return hashlib.blake2b(
        secret.encode(), digest_size=_BYTES, salt=salt, person=b"budget-proxy-key"
    ).digest()


def _patterns(models: tuple[str, ...]) -> tuple[str, ...]:
    if len(models) > MOST_MODELS:
        raise InvalidInput(f"a key is for {MOST_MODELS} patterns of models at most")
    return tuple(dict.fromkeys(_checked("model", one, _LONGEST_PATTERN) for one in models))


def _checked(what: str, text: str, longest: int) -> str:
    """The text, if it can be shown as it is: no control characters, nothing invisible."""
    given = text.strip()
    if not 1 <= len(given) <= longest or not given.isprintable():
        raise InvalidInput(f"a key's {what} must be a text of 1 to {longest} printable characters")
    return given


STRANGER: Final = Kept(VirtualKey("", "", 0.0, revoked=0.0), Lock.of(new_secret()))
"""What a secret is held against whose id nobody knows, so that it costs what others cost."""
