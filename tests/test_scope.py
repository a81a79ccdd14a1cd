from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.errors import InvalidInput
from budget_proxy.scope import budget, current, merge, parse, parse_headers, strip_headers
from budget_proxy.types import Override, Scope


def test_a_number_is_a_cap() -> None:
    """The shortest form."""
    assert parse(2000) == (Scope(), Override(cap=2000))


def test_an_object_names_everything() -> None:
    """A mapping under task is a descriptor, a text is a task id."""
    scope, override = parse(
        {
            "cap": 10,
            "agent": "a",
            "session": "s",
            "tags": ["x", "y"],
            "mode": "observe",
            "thinking": "auto",
            "effort": "low",
            "guidance": False,
            "task": {"story_points": 3},
        }
    )
    assert scope == Scope(agent="a", session="s", tags=("x", "y"))
    assert override == Override(
        cap=10,
        mode="observe",
        thinking="auto",
        effort="low",
        guidance=False,
        descriptor={"story_points": 3},
    )
    assert parse({"task": "t-1"})[0].task == "t-1"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2000", "number of tokens or an object"),
        (True, "number of tokens or an object"),
        (0, "whole number of tokens >= 1"),
        (-5, "whole number of tokens >= 1"),
        ({"cap": 1.5}, "whole number"),
        ({"cap": True}, "whole number"),
        ({"capp": 5}, "no field 'capp'"),
        ({"mode": "strict"}, "observe, guide, enforce"),
        ({"effort": "huge"}, "minimal"),
        ({"guidance": "no"}, "true or false"),
        ({"agent": ""}, "1 to 200"),
        ({"agent": 7}, "1 to 200"),
        ({"agent": "x" * 201}, "1 to 200"),
        ({"agent": "a\ud800"}, "half of a surrogate pair"),
        ({"tags": "a,b"}, "list of texts"),
        ({"tags": ["a", "\udfff"]}, "half of a surrogate pair"),
        ({"tags": [f"t{n}" for n in range(33)]}, "32 at most"),
        ({"cap": 10**10}, "1000000000"),
        ({"descriptor": []}, "must be an object"),
    ],
)
def test_wrong_values_say_what_to_write_instead(value: object, says: str) -> None:
    """Nothing wrong passes silently."""
    with pytest.raises(InvalidInput, match=says):
        parse(value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON)
def test_any_json_parses_or_is_the_callers_error(value: object) -> None:
    """No other exception escapes."""
    with contextlib.suppress(InvalidInput):
        assert len(parse(value)) == 2


def test_headers_say_the_same() -> None:
    """Names in any case; others are ignored."""
    scope, override = parse_headers(
        [
            ("X-Budget-Cap", "300"),
            ("x-budget-agent", "a"),
            ("x-budget-tags", "x, y,"),
            ("x-budget-off", "true"),
            ("x-budget-guidance", "0"),
            ("authorization", "Bearer k"),
        ]
    )
    assert scope == Scope(agent="a", tags=("x", "y"))
    assert override == Override(cap=300, off=True, guidance=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x-budget-cap", "3e5"),
        ("x-budget-cap", "9" * 5000),
        ("x-budget-cap", "-1"),
        ("x-budget-off", "maybe"),
        ("x-budget-x", "1"),
    ],
)
def test_wrong_headers_are_errors_too(name: str, text: str) -> None:
    """A typo in a header is as bad as one in the body."""
    with pytest.raises(InvalidInput):
        parse_headers([(name, text)])


def test_our_headers_never_travel_on() -> None:
    """In any case of letters."""
    assert strip_headers([("X-BUDGET-Cap", "1"), ("accept", "*/*")]) == [("accept", "*/*")]


def test_merging_fills_only_the_gaps() -> None:
    """The first speaker wins."""
    assert merge(Scope(agent="a"), Scope(agent="b", run="r")) == Scope(agent="a", run="r")


def test_a_with_block_adds_to_the_one_around_it_and_ends() -> None:
    """Inner values win; the outer ones still hold."""
    with budget(agent="outer", cap=100), budget(cap=50) as inner:
        assert inner.scope.agent == "outer"
        assert inner.override.cap == 50
    assert current() is None


def test_a_with_block_is_seen_by_tasks_started_in_it_and_by_no_other_thread() -> None:
    """Async code inherits it; a foreign thread does not."""
    seen: list[object] = []

    async def look() -> None:
        handle = current()
        seen.append(handle.override.cap if handle else None)

    async def main() -> None:
        with budget(cap=7):
            await asyncio.gather(look(), look())
            thread = threading.Thread(target=lambda: seen.append(current()))
            thread.start()
            thread.join()

    asyncio.run(main())
    assert seen == [7, 7, None]


def test_tags_are_a_list_in_a_with_block_too() -> None:
    """A text would fall apart into its letters."""
    with pytest.raises(InvalidInput, match="list of texts"), budget(tags="beta"):
        pass


def test_a_wrong_value_is_an_error_where_it_is_written() -> None:
    """Not at the call."""
    with pytest.raises(InvalidInput, match="cap"), budget(cap=0):
        pass
