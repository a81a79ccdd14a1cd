"""Digests of JSON values."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.wire.digest import feed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab{[", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def _digest(item: Any, *leave_out: str) -> bytes:
    digest = blake2b(digest_size=16)
    feed(digest, item, leave_out)
    return digest.digest()


@settings(max_examples=100, deadline=None)
@given(first=JSON, second=JSON)
def test_same_digest_means_same_json(first: Any, second: Any) -> None:
    """Two values have one digest exactly if their JSON with sorted keys is one."""
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (_digest(first) == _digest(second)) is same


def test_pieces_do_not_run_into_each_other() -> None:
    """Where one string ends, how deep a list nests and what kind a value is all count."""
    values: list[Any] = [
        ["ab", "c"], ["a", "bc"], ["abc"], [["abc"]], [1], ["1"], [True], [None], ["null"],
        {"a": 1}, ["a", 1], {}, [],
    ]  # fmt: skip
    assert len({_digest(item) for item in values}) == len(values)


def test_left_out_keys_at_any_depth() -> None:
    """A key that is left out changes nothing, wherever it stands; the others do."""
    bare = {"a": [{"b": 1}]}
    assert _digest({"m": 1, "a": [{"m": {"x": 2}, "b": 1}]}, "m") == _digest(bare)
    assert _digest({"n": 1, **bare}, "m") != _digest(bare)


def test_no_value_is_too_deep_or_too_odd() -> None:
    """Deep nesting and half a surrogate pair have a digest like all else."""
    deep: Any = "end"
    for _ in range(5000):
        deep = [deep]
    assert _digest(deep) != _digest([deep])
    assert _digest("\ud800") != _digest("?")
