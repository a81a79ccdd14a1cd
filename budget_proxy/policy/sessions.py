"""Which session a call belongs to, and what that session was given.

A book of the sessions seen lately. It holds no file: for a session that it does not know it
says so, and the engine asks its driver.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Final, Generic, TypeVar

from budget_proxy.policy.guidance import place
from budget_proxy.policy.rollout import arm_of, keyed_hash, pseudonym
from budget_proxy.types import Call, Lookup, Session

_HELD: Final = 20_000
_T = TypeVar("_T")


class Sessions:
    """Sessions by key and by the response they produced; the oldest fall out of memory.

    An explicit session may hold several conversations. Each has an entry (``key``) of its own,
    because a note stands at a place of its conversation; what else the session was given, and
    its arm, they share by ``id``.
    """

    def __init__(self, salt: bytes, *, holdout: float, silence: float) -> None:
        self._salt = salt
        self._holdout = holdout
        self._silence = silence
        self._by_key: _Newest[Session] = _Newest()
        self._by_id: _Newest[Session] = _Newest()
        self._by_response: _Newest[str] = _Newest()

    def find(self, call: Call, *, again: bool = False) -> Session | Lookup:
        """The session held for this call, or what to look up for it.

        ``again``: another instance may know more of one that is held, so that it is looked up too.
        """
        wanted = self._identity(call)
        return wanted if again else self._held(wanted) or wanted

    def settle_on(self, call: Call, found: Session | None) -> Session:
        """The session this call belongs to: ``found``, or a new one.

        While the driver looked it up, another call may have begun it.
        """
        wanted = self._identity(call)
        held = self._held(wanted)
        if held is not None and found is not None and (held.key, held.id) == (found.key, found.id):
            held = held.told(found.notes)  # by another instance meanwhile
        found = held or found or self._by_id.get(wanted.identifier or "")
        if found is None:
            return self._new(wanted.key, wanted.identifier or wanted.key, call.now)
        if wanted.response is None and found.key != wanted.key:
            return _sibling(call, found, wanted.key)
        if self._is_restart(call, found):
            fresh = keyed_hash(self._salt, "session", found.key.encode(), call.id.encode()).hex()
            return self._new(found.key, fresh, call.now)
        return replace(found, seen=max(found.seen, call.now))

    def hold(self, session: Session) -> None:
        """Keep a session in memory, as the newest."""
        self._by_key.put(session.key, session)
        if session.id != session.key:
            self._by_id.put(session.id, session)

    def produced(self, session: Session, response: str) -> str:
        """Remember which session produced a response; the pseudonym under which to store it."""
        name = pseudonym(self._salt, "response", response)
        self._by_response.put(name, session.key)
        return name

    def _held(self, wanted: Lookup) -> Session | None:
        key = wanted.key
        if wanted.response is not None:
            key = self._by_response.get(wanted.response) or key
        return self._by_key.get(key)

    def _identity(self, call: Call) -> Lookup:
        salt, scope = self._salt, call.scope
        previous = call.previous_response
        if scope.session is not None:
            identifier = pseudonym(salt, "scope", scope.session)
            if call.conversation is not None or previous is not None:
                return Lookup(identifier, identifier=identifier)
            conversation = keyed_hash(salt, "scoped", identifier.encode(), call.fingerprint)
            return Lookup(conversation.hex(), identifier=identifier)
        if call.conversation is not None:
            return Lookup(pseudonym(salt, "conversation", call.conversation))
        if previous is not None:
            name = pseudonym(salt, "response", previous)
            return Lookup(name, name)
        parts = ((scope.key or "").encode(), (call.cache_key or "").encode(), call.fingerprint)
        return Lookup(keyed_hash(salt, "content", *parts).hex())

    def _is_restart(self, call: Call, found: Session) -> bool:
        derived = call.scope.session is None and call.conversation is None
        return derived and call.starts and call.now - found.seen > self._silence

    def _new(self, key: str, identifier: str, now: float) -> Session:
        arm, propensity = arm_of(self._salt, identifier, self._holdout)
        return Session(key, identifier, arm, started=now, seen=now, propensity=propensity)


def _sibling(call: Call, other: Session, key: str) -> Session:
    """Another conversation of a session: with the same steer, and the same note if it begins."""
    note = None
    if call.starts and other.guidance is not None:
        where, index = place(call)
        note = replace(other.guidance, place=where, index=index)
    return replace(other, key=key, started=call.now, seen=call.now, guidance=note, notes=())


class _Newest(Generic[_T]):
    """A mapping that keeps the newest entries."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, _T] = OrderedDict()

    def get(self, key: str) -> _T | None:
        return self._items.get(key)

    def put(self, key: str, item: _T) -> None:
        self._items[key] = item
        self._items.move_to_end(key)
        if len(self._items) > _HELD:
            self._items.popitem(last=False)
