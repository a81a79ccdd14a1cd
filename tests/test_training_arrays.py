"""Values made of arrays go out as bytes and come back the same, and nothing else comes in."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from budget_proxy.training.arrays import packed, unpacked


@dataclass(frozen=True)
class Layer:
    """A part of a value."""

    weights: np.ndarray[Any, Any]
    name: str


@dataclass(frozen=True)
class Whole:
    """A value with parts."""

    layers: tuple[Layer, ...]
    counts: dict[str, Any]
    rate: float


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint16]), arrays.array_shapes()
    )
)
VALUES = st.recursive(
    LEAVES,
    lambda part: (
        st.lists(part, max_size=4).map(tuple)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), part, max_size=4)
    ),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Whether two values are alike to the bit, kinds included."""
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, tuple):
        return (
            isinstance(other, tuple)
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    return bool(type(one) is type(other) and one == other)


@given(VALUES)
def test_what_goes_out_comes_back(value: Any) -> None:
    """Every array comes back to the bit, every number and string as it was."""
    assert same(unpacked(packed(value), ()), value)


def test_dataclasses_come_back_as_what_they_were() -> None:
    """In any depth, by the classes that the reader names."""
    value = Whole((Layer(np.arange(3), "a"), Layer(np.zeros((0, 2)), "b")), {"n": 3}, 0.5)
    found = unpacked(packed(value), (Whole, Layer))
    assert isinstance(found, Whole)
    assert [layer.name for layer in found.layers] == ["a", "b"]
    assert same(found.layers[0].weights, value.layers[0].weights)
    assert (found.counts, found.rate) == (value.counts, value.rate)


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array([object()]), [1], b"x"])
def test_other_kinds_are_refused_when_written(value: Any) -> None:
    """What could not be read again is not written."""
    with pytest.raises(TypeError, match="cannot be packed"):
        packed(value)


def damaged() -> dict[str, bytes]:
    """Bytes that are no packed value of ours."""
    whole = packed(Whole((), {}, 0.5))
    out = io.BytesIO()
    np.savez(out, other=np.zeros(1))
    return {
        "empty": b"",
        "text": b"hello",
        "cut": whole[: len(whole) // 2],
        "pickle": pickle.dumps({"a": 1}),
        "another archive": out.getvalue(),
        "a class that is not known here": whole,
    }


@pytest.mark.parametrize("content", damaged().values(), ids=damaged().keys())
def test_damaged_bytes_are_a_clear_error(content: bytes) -> None:
    """Whatever is wrong with them, it is one error, and no code is run."""
    with pytest.raises(ValueError, match="nothing that was packed here"):
        unpacked(content, (Layer,))
