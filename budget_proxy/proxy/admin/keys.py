"""Virtual keys, for admins; and what a key is told of itself.

What makes or changes keys takes a key itself, also where there are none yet: the first is made on
the command line, by who may write the history.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from budget_proxy.analytics import limits
from budget_proxy.analytics.limits import Listed
from budget_proxy.analytics.periods import seconds_of
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import Name, Nothing, Question, Span
from budget_proxy.proxy.admin.refusal import FORBIDDEN, NOT_FOUND, Refusal
from budget_proxy.proxy.health import shown
from budget_proxy.store import issuing
from budget_proxy.store.issuing import IssuedKey, Keys, ListedKey
from budget_proxy.store.keys import MOST_MODELS, Role


class AskedKeys(Question):
    """What ``/keys`` is asked."""


class AskedOwn(Question):
    """What ``/keys/self`` is asked."""

    asker: str | None


class AskedKey(Question):
    """What ``/keys/{id}`` is asked."""

    id: Name = Field(description="The id of the key.")


class NewKey(Question):
    """A key that is to be made."""

    name: str = Field(max_length=100, description="Whose key it is, or what for.")
    role: Role = Field("caller", description="What it may do: each what those before it may.")
    models: tuple[str, ...] = Field(
        (), max_length=MOST_MODELS, description="Patterns of models, as gpt-5*; none: every model."
    )
    expires: Span | None = Field(None, description="After 30m, 24h, 90d, 12w. Else never.")


class AskedCreation(Question):
    """What ``POST /keys`` is asked."""

    key: NewKey
    asker: str | None


class Rotation(Question):
    """A secret that is to be replaced."""

    grace: Span | None = Field(None, description="How long the one until now still holds.")


class AskedRotation(AskedKey):
    """What ``/keys/{id}/rotate`` is asked."""

    rotation: Rotation
    asker: str | None


class AskedRevocation(AskedKey):
    """What ``/keys/{id}/revoke`` is asked."""

    nothing: Nothing
    asker: str | None


def keys(engine: Engine, asked: AskedKeys) -> Keys:  # noqa: ARG001 (every endpoint's)
    """Every virtual key, as `budget-proxy keys list --json`."""
    return issuing.listing(engine.store, shown(engine.store.url), engine.now())


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key as its owner sees it: what it is for, and the limits that name it."""

    key: ListedKey
    limits: tuple[Listed, ...]


def own_key(engine: Engine, asked: AskedOwn) -> OwnKey:
    """What the key that is sent is for: its name, role, models and expiry, and its limits."""
    if asked.asker is None:
        raise Refusal(404, "no virtual key was sent, and none is needed here", type_=NOT_FOUND)
    store, now = engine.store, engine.now()
    return OwnKey(issuing.find(store, asked.asker, now), limits.of_key(store, asked.asker, now))


def key(engine: Engine, asked: AskedKey) -> ListedKey:
    """One virtual key, as `budget-proxy keys show --json`."""
    try:
        return issuing.find(engine.store, asked.id, engine.now())
    except issuing.UnknownKey as error:
        raise _unknown(error) from None


def create_key(engine: Engine, asked: AskedCreation) -> IssuedKey:
    """Make a virtual key; its secret is told this once."""
    _check_asker(asked.asker)
    given = asked.key
    return issuing.create(
        engine.store, given.name, engine.now(), role=given.role, models=given.models,
        seconds=None if given.expires is None else seconds_of(given.expires),
    )  # fmt: skip


def rotate_key(engine: Engine, asked: AskedRotation) -> IssuedKey:
    """Give a virtual key a new secret, which is told this once."""
    _check_asker(asked.asker)
    grace = 0.0 if asked.rotation.grace is None else seconds_of(asked.rotation.grace)
    try:
        return issuing.rotate(engine.store, asked.id, engine.now(), grace=grace)
    except issuing.UnknownKey as error:
        raise _unknown(error) from None


def revoke_key(engine: Engine, asked: AskedRevocation) -> ListedKey:
    """End a virtual key at once."""
    _check_asker(asked.asker)
    try:
        return issuing.revoke(engine.store, asked.id, engine.now())
    except issuing.UnknownKey as error:
        raise _unknown(error) from None


def _check_asker(asker: str | None) -> None:
    if asker is None:
        raise Refusal(
            403,
            "the first key is made where the proxy runs, with it others here: "
            "`budget-proxy keys create --name NAME --role admin`",
            type_=FORBIDDEN,
        )


def _unknown(error: issuing.UnknownKey) -> Refusal:
    return Refusal(404, str(error), type_=NOT_FOUND, param="id")


ENDPOINTS = (
    Endpoint("GET", "/keys", AskedKeys, Keys, keys, role="admin"),
    Endpoint("GET", "/keys/self", AskedOwn, OwnKey, own_key, asker="asker", role="caller"),
    Endpoint("GET", "/keys/{id}", AskedKey, ListedKey, key, role="admin"),
    Endpoint("POST", "/keys", AskedCreation, IssuedKey, create_key, "key", asker="asker"),
    Endpoint(
        "POST",
        "/keys/{id}/rotate",
        AskedRotation,
        IssuedKey,
        rotate_key,
        body="rotation",
        asker="asker",
    ),
    Endpoint(
        "POST",
        "/keys/{id}/revoke",
        AskedRevocation,
        ListedKey,
        revoke_key,
        body="nothing",
        asker="asker",
    ),
)
