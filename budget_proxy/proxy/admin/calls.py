"""The calls themselves: page by page, and one with all its attempts. No text is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, make_dataclass
from operator import attrgetter
from typing import Annotated, Any, Final, get_type_hints

from pydantic import AfterValidator, Field, WithJsonSchema

from budget_proxy.analytics.judgement import Judgement, judged, judgements
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.paging import Paged
from budget_proxy.proxy.admin.question import InTime, Name, OfGroup, Question
from budget_proxy.proxy.admin.refusal import NOT_FOUND, Refusal
from budget_proxy.store.base import Store
from budget_proxy.store.pages import Place
from budget_proxy.store.rows import CALL_COLUMNS
from budget_proxy.types import Arm, CallRecord, FinishReason

_COLUMNS: Final = CALL_COLUMNS
_CURSOR: Final = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)_([0-9]{1,18})")
_values: Final = attrgetter(*_COLUMNS)
_TYPES: Final = get_type_hints(CallRecord)

Row: Any = make_dataclass(
    "Row",
    [*((name, _TYPES[name]) for name in _COLUMNS), ("judgement", Judgement)],
)
Row.__doc__ = (
    "One attempt: a row of the table `calls`, of which docs/schema.md says what the columns mean, "
    "and how its budget fitted."
)


@dataclass(frozen=True)
class Calls:
    """A page of attempts, newest first; ``next`` is the cursor of the next one, null at the end.

    A page that is not the last may be short, or even empty: looking for its rows had an end.
    """

    calls: tuple[Row, ...]
    next: str | None


@dataclass(frozen=True)
class Attempts:
    """One call: its attempts in the order in which they were made."""

    call_id: str
    attempts: tuple[Row, ...]


def _cursor(text: str) -> str:
    _place(text)
    return text


def _place(text: str) -> Place:
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise ValueError("should be the `next` of the page before")
    return Place(float(found[1]), int(found[2]))


Cursor = Annotated[
    str,
    Field(max_length=50),
    AfterValidator(_cursor),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?_[0-9]{1,12}$"}),
]


class AskedCalls(InTime, OfGroup, Paged):
    """What ``/calls`` is asked."""

    session: Name | None = Field(None, description="Only this session's calls.")
    run: Name | None = Field(None, description="Only this run's calls.")
    arm: Arm | None = Field(None, description="Only calls of this arm.")
    finish_reason: FinishReason | None = Field(None, description="Only answers that ended so.")
    truncated: bool | None = Field(None, description="Only answers that were cut, or were not.")
    cursor: Cursor | None = Field(None, description="The `next` of the page before.")

    def where(self) -> dict[str, Any]:
        """The columns that are asked for, and their values."""
        names = ("session", "run", "arm", "finish_reason", "truncated")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {**super().where(), **given}


class AskedCall(Question):
    """What ``/calls/{call_id}`` is asked."""

    call_id: Name = Field(description="The id of the call.")


def calls(engine: Engine, asked: AskedCalls) -> Calls:
    """Attempts, newest first, page by page."""
    page = engine.store.page(
        before=None if asked.cursor is None else _place(asked.cursor),
        limit=asked.limit, start=asked.begin(engine.now()), end=asked.end, **asked.where(),
    )  # fmt: skip
    cursor = None if page.before is None else f"{page.before.ts!r}_{page.before.id}"
    return Calls(tuple(_row(row, _judged(engine.store, row)) for row in page.rows), cursor)


def call(engine: Engine, asked: AskedCall) -> Attempts:
    """One call with all its attempts, and why it was given what it was given."""
    rows = engine.store.calls(call_id=asked.call_id)
    found = tuple(_row(*judged_row) for judged_row in judgements(rows))
    if not found:
        raise Refusal(
            404, f"the history has no call {asked.call_id[:100]!r} (any more)",
            type_=NOT_FOUND, param="call_id",
        )  # fmt: skip
    return Attempts(asked.call_id, found)


def _judged(store: Store, record: CallRecord) -> Judgement:
    """What a row is judged; of one that is no first attempt that depends on those before it."""
    if record.attempt == 1:
        return judged(record)
    attempts = judgements(store.calls(call_id=record.call_id))
    return next((found for row, found in attempts if row.id == record.id), judged(record))


def _row(record: CallRecord, judgement: Judgement) -> dict[str, Any]:
    return {**dict(zip(_COLUMNS, _values(record), strict=True)), "judgement": judgement}


ENDPOINTS = (
    Endpoint("GET", "/calls", AskedCalls, Calls, calls),
    Endpoint("GET", "/calls/{call_id}", AskedCall, Attempts, call),
)
