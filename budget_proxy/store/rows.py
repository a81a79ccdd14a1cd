"""How a CallRecord and a Session lie in a table. Knows no database.

The order of columns is the order of the dataclass fields, so that a row read back needs no
dictionary on its way. Leaves out what the columns mean: docs/schema.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final, cast

from budget_proxy.errors import InvalidInput
from budget_proxy.types import (
    Arm,
    CallRecord,
    Guidance,
    GuidancePlace,
    Session,
    Thinking,
)

_FIELDS: Final = tuple(f for f in fields(CallRecord) if f.name not in {"signals", "limits"})
CALL_COLUMNS: Final = tuple(field.name for field in _FIELDS)
"""Every column of ``calls``, in the order that ``read_call`` takes them.

The signals of recent rows, in ``features``, may follow them.
"""

WRITTEN_COLUMNS: Final = tuple(name for name in CALL_COLUMNS if name != "id")
"""The columns that a new row brings along; its id is the database's to give."""

SESSION_COLUMNS: Final = (
    "key",
    "id",
    "arm",
    "propensity",
    "guidance",
    "place",
    "place_index",
    "thinking",
    "thinking_budget",
    "effort",
    "model",
    "started",
    "seen",
    "decided",
)
"""Every column of ``sessions``, in the order that ``write_session`` gives them."""

SETTLED_WITHIN: Final = 30 * 86_400.0
"""Seconds in which an answer that is made in the background may still be retrieved."""

_LISTS: Final = frozenset(f.name for f in _FIELDS if str(f.type).startswith("tuple["))
_FLAGS: Final = frozenset(f.name for f in _FIELDS if f.type == "bool")
_read_lists: Final = tuple(i for i, name in enumerate(CALL_COLUMNS) if name in _LISTS)
_read_flags: Final = tuple(i for i, name in enumerate(CALL_COLUMNS) if name in _FLAGS)
_write_lists: Final = tuple(i for i, name in enumerate(WRITTEN_COLUMNS) if name in _LISTS)
_values: Final = attrgetter(*WRITTEN_COLUMNS)


def write_call(record: CallRecord) -> list[Any]:
    """Give the values of ``WRITTEN_COLUMNS``. Raises TypeError where a list holds odd things."""
    values = list(_values(record))
    for index in _write_lists:
        values[index] = json.dumps(values[index]) if values[index] else "[]"
    return values


def read_call(row: Sequence[Any]) -> CallRecord:
    """Make a record from the values of ``CALL_COLUMNS``, its signals behind them or not."""
    values = list(row)
    for index in _read_lists:
        values[index] = texts(values[index])
    for index in _read_flags:
        values[index] = bool(values[index])
    return CallRecord(*values)


def check_columns(where: Mapping[str, Any]) -> None:
    """Raise InvalidInput where a filter names a column that ``calls`` does not have."""
    for name in where:
        if name not in CALL_COLUMNS:
            known = ", ".join(CALL_COLUMNS)
            raise InvalidInput(f"the history has no column {name!r}; it has {known}")


def condition(name: str, value: Any) -> Any:
    """Give what a column is compared with: lists as they are stored."""
    return json.dumps(list(value)) if name in _LISTS and value is not None else value


def write_session(session: Session) -> tuple[Any, ...]:
    """Give the values of ``SESSION_COLUMNS``."""
    guidance, thinking = session.guidance, session.thinking
    return (
        session.key,
        session.id,
        session.arm,
        session.propensity,
        guidance.id if guidance else None,
        guidance.place if guidance else None,
        guidance.index if guidance else None,
        thinking.kind if thinking else None,
        thinking.budget if thinking else None,
        session.effort,
        session.model,
        session.started,
        session.seen,
        int(session.decided),
    )


def read_session(row: Sequence[Any]) -> Session:
    """Make a session from the values of ``SESSION_COLUMNS``, its guidance's text and tokens.

    A guidance whose text is missing counts as none: it cannot be repeated byte for byte.
    """
    (key, id_, arm, propensity, guidance, place, index, thinking, budget, *rest) = row
    effort, model, started, seen, decided, text, tokens = rest
    return Session(
        key=key,
        id=id_,
        arm=cast("Arm", arm),
        started=started,
        seen=seen,
        propensity=propensity,
        guidance=None
        if guidance is None or text is None
        else Guidance(guidance, text, cast("GuidancePlace", place), index, tokens),
        thinking=None if thinking is None else Thinking(thinking, budget),
        effort=effort,
        model=model,
        decided=bool(decided),
    )


def completed(old: Session, new: Session) -> Session:
    """Complete what a session was given: what it has stays, what it lacks comes from ``new``."""
    settled = old if old.decided else new
    return replace(
        old,
        guidance=old.guidance or new.guidance,
        thinking=settled.thinking,
        effort=settled.effort,
        decided=settled.decided,
        model=old.model or new.model,
        seen=max(old.seen, new.seen),
        notes=old.told(new.notes).notes,
    )


def texts(text: str) -> tuple[str, ...]:
    """Read a list of texts as it is stored."""
    if text == "[]":
        return ()
    try:
        return tuple(json.loads(text))
    except (TypeError, ValueError):  # someone edited the file by hand: counts as absent
        return ()
