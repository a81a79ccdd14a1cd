"""Values made of our own objects, as bytes and back: never pickled, so that reading runs no code.

A value is a number, a string, ``None``, an array, a tuple, a list, a dict, or an object of one
of the ``kinds`` that reader and writer agree on, in any depth. Its shape is JSON, its arrays
follow as they lie in memory (numpy's own files are read by Python's parser, which two threads
upset at the same time). What there is many of (numbers, objects of one kind)
becomes columns: small on disk, and quick to read in steps that let other threads go on.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
Kinds = Mapping[str, type]
Pause = Callable[[], None]

_MARK: Final = b"budget_proxy arrays 1"
_SIZE: Final = 8
_KIND: Final = "kind"
_MANY: Final = 4
_SOME: Final = 512
_NUMBERS: Final = {int: "iu", float: "f"}
"""What numpy makes of numbers of a kind, if it loses nothing of them."""
_SEQUENCES: Final[dict[str, Callable[[Any], Any]]] = {"tuple": tuple, "list": list}
_EMPTY: Final[dict[str, Callable[[], Any]]] = {"dict": dict, "ordered": OrderedDict}


def no_pause() -> None:
    """Go on at once."""


def packed(value: Any, kinds: Iterable[type], *, small: bool = True) -> bytes:
    """The bytes of a value, compressed if they are to be ``small``; that takes five times as long.

    Raises TypeError on what is none of the kinds above.
    """
    known = {kind.__name__: kind for kind in kinds}
    writer = _Writer(known)
    described = [_form(known), writer.described(value)]
    kept = [[array.dtype.str, array.shape] for array in writer.arrays]
    head = json.dumps([*described, kept]).encode()
    parts = [_MARK, len(head).to_bytes(_SIZE, "little"), head]
    whole = b"".join([*parts, *(array.tobytes() for array in writer.arrays)])
    return zlib.compress(whole) if small else whole


def unpacked(content: bytes, kinds: Iterable[type], pause: Pause = no_pause) -> Any:
    """The value of ``packed``'s bytes, whose objects are of ``kinds``.

    ``pause`` is called often on the way, for whoever has others to let go on.

    Raises ValueError where they are damaged, or of another version's shape.
    """
    known = {kind.__name__: kind for kind in kinds}
    try:
        whole = _plain(content)
        start = len(_MARK) + _SIZE
        at = start + int.from_bytes(whole[len(_MARK) : start], "little")
        form, shape, kept = json.loads(bytes(whole[start:at]))
        arrays = []
        for kind, size in kept:
            array = _array_at(whole, at, np.dtype(kind), size)
            arrays.append(array)
            at += array.nbytes
            pause()
        return _Reader(arrays, known, pause).whole(form, shape)
    except (zlib.error, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"this is nothing that was packed here: {error}") from error


def _plain(content: bytes) -> memoryview:
    plain = content if content.startswith(_MARK) else zlib.decompress(content)
    if not plain.startswith(_MARK):
        raise ValueError("it begins with something else")
    return memoryview(plain)


def _array_at(whole: memoryview, at: int, kind: np.dtype[Any], size: Sequence[int]) -> Array:
    """An array that stands at a place; one's own, which can be written to."""
    count = math.prod(size)
    if count < 0 or at + count * kind.itemsize > len(whole):
        raise ValueError("it ends too early")
    return np.frombuffer(whole, kind, count, at).reshape(size).copy()


_PLAIN: Final = (lambda: None).__code__


def _form(kinds: Kinds) -> str:
    """A digest of what the kinds' objects are made of: a version that adds to one reads none."""
    names = {
        name: sorted(
            {attribute for base in kind.__mro__ for attribute in getattr(base, "__slots__", ())}
            | set(getattr(kind, "__annotations__", ()))
            | set(getattr(getattr(kind, "__init__", None), "__code__", _PLAIN).co_names)
        )
        for name, kind in sorted(kinds.items())
    }
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


class _Writer:
    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self.arrays: list[Array] = []

    def described(self, value: Any) -> Any:
        """The shape of a value; its arrays are kept."""
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, np.generic):
            return value.item()
        if self._kinds.get(type(value).__name__) is type(value):
            return self._objects(type(value), [value], one=True)
        if type(value) in {tuple, list}:
            return {_KIND: type(value).__name__, "parts": self._sequence(value)}
        if type(value) in {dict, OrderedDict}:
            kind = "dict" if type(value) is dict else "ordered"
            keys, parts = self._sequence(list(value)), self._sequence(list(value.values()))
            return {_KIND: kind, "keys": keys, "parts": parts}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{type(value).__name__} cannot be packed")

    def _array(self, array: Array) -> dict[str, Any]:
        if array.dtype.hasobject:
            raise TypeError("an array of objects cannot be packed")
        self.arrays.append(array)
        return {_KIND: "array", "at": len(self.arrays) - 1}

    def _sequence(self, parts: Sequence[Any]) -> Any:
        """Parts one by one, or as a column where there are many of one kind."""
        found = set(map(type, parts)) if len(parts) >= _MANY else set()
        if len(found) == 1:
            kind = found.pop()
            if kind in {int, float}:
                column = np.array(parts)
                if column.dtype.kind in _NUMBERS[kind]:  # else some are too large for any
                    return {**self._array(column), _KIND: "column"}
            if self._kinds.get(kind.__name__) is kind:
                return self._objects(kind, parts)
            if kind in {tuple, list} and len(set(map(len, parts))) == 1 and parts[0]:
                columns = [self._sequence(column) for column in zip(*parts, strict=True)]
                return {_KIND: "rows", "of": kind.__name__, "columns": columns}
        return [self.described(part) for part in parts]

    def _objects(self, kind: type, objects: Sequence[Any], *, one: bool = False) -> Any:
        names = _names(kind, objects[0])
        shape: dict[str, Any] = {_KIND: "one" if one else "many", "of": kind.__name__}
        columns = ([getattr(item, name) for item in objects] for name in names)
        shape["parts"] = {
            name: self.described(column[0]) if one else self._sequence(column)
            for name, column in zip(names, columns, strict=True)
        }
        return shape


class _Reader:
    def __init__(self, arrays: Sequence[Array], kinds: Kinds, pause: Pause) -> None:
        self._arrays = arrays
        self._kinds = kinds
        self._pause = pause

    def whole(self, form: str, shape: Any) -> Any:
        """The value of a shape, if its objects have that form."""
        if form != _form(self._kinds):
            raise ValueError("its objects have other attributes")
        return self.made(shape)

    def made(self, shape: Any) -> Any:
        """The value of a shape."""
        if not isinstance(shape, dict):
            return shape
        kind = shape[_KIND]
        if kind == "array":
            return self._arrays[shape["at"]]
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](self._parts(shape["parts"]))
        if kind in _EMPTY:
            keys, parts = self._parts(shape["keys"]), self._parts(shape["parts"])
            mapping: dict[Any, Any] = _EMPTY[kind]()
            for some in self._some(zip(keys, parts, strict=True)):
                mapping.update(some)
            return mapping
        made = {name: self.made(part) for name, part in shape["parts"].items()}
        return _object(self._kinds[shape["of"]], made)

    def _parts(self, shape: Any) -> list[Any]:
        if isinstance(shape, list):
            return [self.made(part) for part in shape]
        kind = shape[_KIND]
        if kind == "column":
            return self._numbers(self._arrays[shape["at"]])
        if kind == "rows":
            columns = [self._parts(column) for column in shape["columns"]]
            rows = map(_SEQUENCES[shape["of"]], zip(*columns, strict=True))
            return list(chain.from_iterable(self._some(rows)))
        made, names = self._kinds[shape["of"]], list(shape["parts"])
        columns = [self._parts(part) for part in shape["parts"].values()]
        each = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        return list(chain.from_iterable(self._some(_object(made, parts) for parts in each)))

    def _numbers(self, column: Array) -> list[Any]:
        numbers: list[Any] = []
        for at in range(0, len(column), _SOME):
            numbers += column[at : at + _SOME].tolist()
            self._pause()
        return numbers

    def _some(self, items: Iterator[Any]) -> Iterator[list[Any]]:
        """Lists of some hundred items, with a pause after each."""
        while some := list(islice(items, _SOME)):
            yield some
            self._pause()


def _names(kind: type, item: Any) -> list[str]:
    """The attributes that make an object of a kind up."""
    if issubclass(kind, tuple):
        return list(getattr(kind, "_fields"))  # noqa: B009 (a NamedTuple's, unknown to its base)
    slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
    return slots or list(vars(item))


def _object(kind: type, parts: dict[str, Any]) -> Any:
    """An object from its attributes, without asking its class to make it up anew."""
    if issubclass(kind, tuple):
        return kind(**parts)
    made = object.__new__(kind)
    for name, part in parts.items():
        object.__setattr__(made, name, part)  # of frozen ones too
    return made
