from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.store.rows import (
    CALL_COLUMNS,
    WRITTEN_COLUMNS,
    read_call,
    read_session,
    write_call,
    write_session,
)
from budget_proxy.types import CallRecord, Guidance
from tests.makers import record, session


def stored(written: list[object]) -> list[object]:
    """What a database hands back of a written row: id 7, flags as 0 and 1."""
    values: dict[str, object] = dict(zip(WRITTEN_COLUMNS, written, strict=True))
    values["id"] = 7
    return [
        int(value) if isinstance(value := values[name], bool) else value for name in CALL_COLUMNS
    ]


@given(st.lists(st.text()), st.lists(st.text()), st.booleans())
def test_lists_and_flags_survive(tags: list[str], domains: list[str], flag: bool) -> None:
    """Whatever texts a list holds, a row is the same after the way through a table."""
    given_ = record(tags=tuple(tags), domains=tuple(domains), exact=flag, stream=not flag)
    assert read_call(stored(write_call(given_))) == replace(given_, id=7)


@pytest.mark.parametrize("edited", ["", "not json", None])
def test_a_list_spoilt_by_hand_counts_as_empty(edited: object) -> None:
    """Someone who edits the file in a browser does not stop the replay of the history."""
    row = stored(write_call(record(tags=("a",))))
    row[CALL_COLUMNS.index("tags")] = edited
    assert read_call(row).tags == ()


def test_the_id_is_not_written() -> None:
    """A row's id is the database's to give."""
    assert "id" not in WRITTEN_COLUMNS
    assert isinstance(read_call(stored(write_call(record(id=3)))), CallRecord)
    assert 3 not in write_call(record(id=3))


def test_a_note_without_its_text_counts_as_none() -> None:
    """A note that could not be repeated byte for byte is not repeated at all."""
    carrying = session(guidance=Guidance("g", "text", "user", 1, 4))
    row = write_session(carrying)
    assert read_session((*row, "text", 4)) == carrying
    assert read_session((*row, None, None)) == session()
