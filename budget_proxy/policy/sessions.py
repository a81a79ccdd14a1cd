"""Which session a call belongs to, and what that session was given.

A book of the sessions seen lately. It holds no file: for a session that it does not know it
says so, and the engine asks its driver.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from budget_proxy.policy.rollout import arm_of, keyed_hash, pseudonym
from budget_proxy.types import Call, Lookup, Session

_HELD: Final = 20_000


class Sessions:
    """Sessions by key and by the response they produced; the oldest fall out of memory."""

    def __init__(self, salt: bytes, *, holdout: float, silence: float) -> None:
        self._salt = salt
        self._holdout = holdout
        self._silence = silence
        self._by_key: OrderedDict[str, Session] = OrderedDict()
        self._by_response: OrderedDict[str, str] = OrderedDict()

    def find(self, call: Call) -> Session | Lookup:
        """The session held for this call, or what to look up for it."""
        key, response = self._identity(call)
        held = self._by_key.get(self._by_response.get(response, key) if response else key)
        return held if held is not None else Lookup(key, response)

    def settle_on(self, call: Call, found: Session | None, key: str) -> Session:
        """The session this call belongs to: ``found``, or a new one under ``key``.

        While the driver looked it up, another call may have begun it.
        """
        found = self._by_key.get(key, found)
        if found is None:
            return self._new(key, key, call.now)
        if self._is_restart(call, found):
            fresh = keyed_hash(self._salt, "session", found.key.encode(), call.id.encode()).hex()
            return self._new(found.key, fresh, call.now)
        return replace(found, seen=max(found.seen, call.now))

    def hold(self, session: Session) -> None:
        """Keep a session in memory, as the newest."""
        self._by_key[session.key] = session
        self._by_key.move_to_end(session.key)
        if len(self._by_key) > _HELD:
            self._by_key.popitem(last=False)

    def produced(self, session: Session, response: str) -> str:
        """Remember which session produced a response; the pseudonym under which to store it."""
        name = pseudonym(self._salt, "response", response)
        self._by_response[name] = session.key
        if len(self._by_response) > _HELD:
            self._by_response.popitem(last=False)
        return name

    def _identity(self, call: Call) -> tuple[str, str | None]:
        salt, scope = self._salt, call.scope
        if scope.session is not None:
            return pseudonym(salt, "scope", scope.session), None
        if call.conversation is not None:
            return pseudonym(salt, "conversation", call.conversation), None
        if call.previous_response is not None:
            name = pseudonym(salt, "response", call.previous_response)
            return name, name
        parts = ((scope.key or "").encode(), (call.cache_key or "").encode(), call.fingerprint)
        return keyed_hash(salt, "content", *parts).hex(), None

    def _is_restart(self, call: Call, found: Session) -> bool:
        derived = call.scope.session is None and call.conversation is None
        return derived and call.starts and call.now - found.seen > self._silence

    def _new(self, key: str, identifier: str, now: float) -> Session:
        arm, propensity = arm_of(self._salt, identifier, self._holdout)
        return Session(key, identifier, arm, started=now, seen=now, propensity=propensity)
