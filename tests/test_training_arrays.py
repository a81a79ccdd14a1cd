"""Values made of arrays go out as bytes and come back the same, and nothing else comes in."""

from __future__ import annotations

import ast
import io
import pickle
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from budget_proxy.training.arrays import packed, unpacked


@dataclass(frozen=True)
class Layer:
    """A part of a value."""

    weights: Any
    name: str


class Slotted:
    """One with slots, and what it was made of."""

    __slots__ = ("lengths", "mean")

    def __init__(self, mean: float, *lengths: float) -> None:
        self.mean = mean
        self.lengths = lengths


class Plain:
    """One with a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.sessions: OrderedDict[int, Slotted] = OrderedDict()


class Named(NamedTuple):
    """One that is a tuple."""

    case: str
    parts: list[Layer]


KINDS = (Layer, Slotted, Plain, Named)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXTS
    | arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint16]), arrays.array_shapes()
    )
)
KEYS = st.integers(0, 2**64 - 1) | TEXTS | st.tuples(TEXTS, st.integers())
VALUES = st.recursive(
    LEAVES | st.lists(st.integers(0, 2**70), max_size=9) | st.lists(st.floats(), max_size=9),
    lambda part: (
        st.lists(part, max_size=6)
        | st.lists(part, max_size=6).map(tuple)
        | st.lists(st.tuples(st.integers(), part), min_size=4, max_size=6)
        | st.dictionaries(KEYS, part, max_size=6)
        | st.dictionaries(KEYS, part, max_size=6).map(OrderedDict)
        | st.builds(Layer, part, TEXTS)
        | st.lists(st.builds(Slotted, st.floats(), part), max_size=6)
        | st.builds(Named, TEXTS, st.lists(st.builds(Layer, part, TEXTS), max_size=6))
    ),
    max_leaves=10,
)


def parts_of(value: Any) -> Any:
    """What a value is made of; of a leaf its bits."""
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    if isinstance(value, tuple | list):
        return [type(value), *map(parts_of, value)]
    if isinstance(value, dict):
        return [type(value), *([parts_of(key), parts_of(part)] for key, part in value.items())]
    if isinstance(value, Slotted):
        return [Slotted, parts_of(value.mean), parts_of(value.lengths)]
    if isinstance(value, KINDS):
        return [type(value), parts_of(vars(value))]
    return [type(value), repr(value)]


@given(VALUES)
def test_what_goes_out_comes_back(value: Any) -> None:
    """Every array comes back to the bit, every object with its parts, every dict in its order."""
    assert parts_of(unpacked(packed(value, KINDS), KINDS)) == parts_of(value)


def test_large_and_small_hold_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressed or not; what comes back can be written to, and no Python is parsed on the way."""
    monkeypatch.setattr(ast, "parse", None)
    value = [np.zeros((3, 4), np.float16), np.array(5.0), np.zeros((0, 2)), np.ones(4, bool)]
    for small in (True, False):
        for found, wanted in zip(unpacked(packed(value, (), small=small), ()), value, strict=True):
            assert found.dtype == wanted.dtype
            assert found.shape == wanted.shape
            assert (found == wanted).all()
            found[...] = 1


def test_integers_of_any_size_keep_their_last_digit() -> None:
    """Also where numpy would make floats of them, because no integer of its own holds them all."""
    value = [1, 2**63 + 5, -7, 2**70]
    assert unpacked(packed(value, ()), ()) == value
    assert unpacked(packed(value[:2] * 3, ()), ()) == value[:2] * 3


def test_objects_of_one_kind_become_columns() -> None:
    """Many sessions take the room of their numbers, not of their names."""
    value = Plain()
    value.rows = {2**63 + at: at for at in range(10_000)}
    for at in range(10_000):
        value.sessions[at] = Slotted(0.5, 1.0, 2.0, float(at % 7))
    content = packed(value, KINDS)
    assert len(content) < 200_000
    found = unpacked(content, KINDS)
    assert found.rows == value.rows
    assert list(found.sessions) == list(value.sessions)
    assert found.sessions[9].lengths == value.sessions[9].lengths


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array([object()]), b"x", 1j])
def test_other_kinds_are_refused_when_written(value: Any) -> None:
    """What could not be read again is not written, nor is a class that was not named."""
    with pytest.raises(TypeError, match="cannot be packed"):
        packed([value], KINDS)
    with pytest.raises(TypeError, match="Layer cannot be packed"):
        packed(Layer(1, "x"), ())


def damaged() -> dict[str, bytes]:
    """Bytes that are no packed value of ours."""
    whole = packed(Slotted(0.5), KINDS)
    out = io.BytesIO()
    np.savez(out, other=np.zeros(1))
    return {
        "empty": b"",
        "text": b"hello",
        "cut": whole[: len(whole) // 2],
        "pickle": pickle.dumps({"a": 1}),
        "another archive": out.getvalue(),
        "a class that is not known here": whole,
        "something else, compressed": zlib.compress(b"hello"),
        "cut within an array": packed(np.arange(9), KINDS, small=False)[:-3],
        "an array of objects": packed(np.arange(9), (Layer,), small=False).replace(b"<i8", b"|O8"),
        "a negative size": packed(np.arange(9), (Layer,), small=False).replace(b"[9]", b"[-9]"),
        "no text": b"budget_proxy arrays 1" + b"\xff" * 30,
    }


@pytest.mark.parametrize("content", damaged().values(), ids=damaged().keys())
def test_damaged_bytes_are_a_clear_error(content: bytes) -> None:
    """Whatever is wrong with them, it is one error, and no code is run."""
    with pytest.raises(ValueError, match="nothing that was packed here"):
        unpacked(content, (Layer,))


def test_objects_of_another_version_are_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is new would be missing when it is first needed."""

    def remembering(self: Any) -> None:
        self.known = {}

    content = packed(Plain(), KINDS)
    assert isinstance(unpacked(content, KINDS), Plain)
    monkeypatch.setattr(Plain, "__init__", remembering)
    with pytest.raises(ValueError, match="other attributes"):
        unpacked(content, KINDS)
