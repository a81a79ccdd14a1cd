"""Limits: listed, made, changed, removed, checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, TypeVar

from pydantic import Field

from budget_proxy.analytics import limits as made
from budget_proxy.assemble import Engine
from budget_proxy.ledger.limits import DIMENSIONS, Action, Hold, Limit, Unit
from budget_proxy.ledger.windows import Window
from budget_proxy.proxy.admin.alerts import Number
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import Name, Nothing, Question, Zone
from budget_proxy.proxy.admin.refusal import NOT_FOUND, Refusal
from budget_proxy.proxy.health import shown

_Answer = TypeVar("_Answer", made.Limits, made.Added, made.Removed, made.Check)
_Count = Annotated[int, Field(ge=0, le=10**18, strict=True)]
_Dollars = Annotated[float, Field(strict=True)] | str
_Whom = Annotated[Name | None, Field(description="Of this one alone; * for each by itself.")]


class AskedLimits(Question):
    """What ``/limits`` is asked."""


class HowMuch(Question):
    """So many tokens, output tokens or US dollars: one of them."""

    tokens: _Count | None = Field(None, description="Input and output tokens.")
    output_tokens: _Count | None = Field(None, description="Output tokens alone.")
    usd: _Dollars | None = Field(None, description="US dollars, as a text if they are many.")

    def amount(self) -> tuple[Unit, int]:
        """The unit and the amount in it. Raises InvalidInput where they are none or several."""
        usd = self.usd if isinstance(self.usd, str | None) else repr(self.usd)
        return made.amount_of(
            {"tokens": self.tokens, "output_tokens": self.output_tokens, "usd": usd}
        )


class Wanted(HowMuch):
    """A limit: so many tokens, output tokens or US dollars in every window."""

    window: Window = Field(description="Over which time; flight: what calls hold at once.")
    key: _Whom = None
    user: _Whom = None
    agent: _Whom = None
    task: _Whom = None
    model: _Whom = None
    tag: _Whom = None
    run: _Whom = None
    action: Action = Field("refuse", description="What becomes of a call beyond it.")
    degrade_model: Name | None = Field(None, description="Try that model before refusing.")
    degrade_effort: Name | None = Field(None, description="Try that effort before refusing.")
    zone: Zone | None = Field(None, description="Where days begin; else the setting time_zone.")
    hold: Hold = Field("predicted", description="What calls under way hold of it.")
    name: Annotated[str, Field(max_length=1_000)] = Field("", description="What to call it.")


class AskedAdd(Question):
    """What ``/limits/add`` is asked."""

    wanted: Wanted


class AskedSet(Question):
    """What ``/limits/{number}/set`` is asked."""

    number: Number = Field(description="The limit.")
    how_much: HowMuch


class AskedRemove(Question):
    """What ``/limits/{number}/remove`` is asked."""

    number: Number = Field(description="The limit.")
    nothing: Nothing


class AskedCheck(Question):
    """What ``/limits/check`` is asked."""


class AskedRepair(Question):
    """What ``/limits/repair`` is asked."""

    nothing: Nothing


def limits(engine: Engine, asked: AskedLimits) -> made.Limits:  # noqa: ARG001 (there is nothing)
    """The limits in force, and how they stand, as `budget-proxy limits --json`."""
    return _shown(engine, made.overview(engine.store, engine.now()))


def add(engine: Engine, asked: AskedAdd) -> made.Added:
    """Put a limit into force."""
    wanted = asked.wanted
    unit, amount = wanted.amount()
    names = {name: getattr(wanted, name) for name in DIMENSIONS}
    limit = Limit(
        unit, amount, wanted.window, action=wanted.action, model=wanted.degrade_model,
        effort=wanted.degrade_effort, zone=wanted.zone or engine.settings.time_zone,
        hold=wanted.hold, name=wanted.name,
    )  # fmt: skip
    return _shown(engine, made.add(engine.store, limit, names, engine.prices.charged, engine.now()))


def change(engine: Engine, asked: AskedSet) -> made.Added:
    """Give a limit another amount; what was counted stays."""
    unit, amount = asked.how_much.amount()
    with _numbered():
        return _shown(engine, made.change(engine.store, asked.number, unit, amount, engine.now()))


def remove(engine: Engine, asked: AskedRemove) -> made.Removed:
    """Take a limit out of force."""
    with _numbered():
        return _shown(engine, made.remove(engine.store, asked.number))


def check(engine: Engine, asked: AskedCheck) -> made.Check:  # noqa: ARG001 (there is nothing)
    """Compare the counters of running windows with the history."""
    return _shown(engine, made.check(engine.store, engine.now()))


def repair(engine: Engine, asked: AskedRepair) -> made.Check:  # noqa: ARG001 (there is nothing)
    """Count anew what is not as the history says; what that was."""
    return _shown(engine, made.check(engine.store, engine.now(), repair=True))


@contextmanager
def _numbered() -> Iterator[None]:
    """Refuse a number that no limit has."""
    try:
        yield
    except made.UnknownLimit as error:
        raise Refusal(404, str(error), type_=NOT_FOUND, param="number") from error


def _shown(engine: Engine, answer: _Answer) -> _Answer:
    return replace(answer, store=shown(engine.store.url))


ENDPOINTS = (
    Endpoint("GET", "/limits", AskedLimits, made.Limits, limits),
    Endpoint("GET", "/limits/check", AskedCheck, made.Check, check),
    Endpoint("POST", "/limits/add", AskedAdd, made.Added, add, "wanted"),
    Endpoint("POST", "/limits/repair", AskedRepair, made.Check, repair, "nothing"),
    Endpoint("POST", "/limits/{number}/set", AskedSet, made.Added, change, "how_much"),
    Endpoint("POST", "/limits/{number}/remove", AskedRemove, made.Removed, remove, "nothing"),
)
