"""Values made of numpy arrays, as bytes and back: never pickled, so that reading runs no code.

A value is a dataclass, a tuple, a dict with string keys, an array, a number, a string or
``None``, in any depth. Its shape is JSON, its arrays follow as numpy writes them (``npz``).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np

_SHAPE: Final = "shape"
_KIND: Final = "kind"


def packed(value: Any) -> bytes:
    """The bytes of a value. Raises TypeError on what is none of the kinds above."""
    arrays: list[np.ndarray[Any, Any]] = []
    shape = json.dumps(_described(value, arrays)).encode()
    named: dict[str, Any] = {f"a{place}": array for place, array in enumerate(arrays)}
    named[_SHAPE] = np.frombuffer(shape, np.uint8)
    out = io.BytesIO()
    np.savez(out, **named)
    return out.getvalue()


def unpacked(content: bytes, kinds: Iterable[type]) -> Any:
    """The value of ``packed``'s bytes, whose dataclasses are among ``kinds``.

    Raises ValueError where they are damaged, or of another version's shape.
    """
    known = {kind.__name__: kind for kind in kinds}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            shape = json.loads(held[_SHAPE].tobytes())
            return _made(shape, held, known)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"this is nothing that was packed here: {error}") from error


def _described(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of objects cannot be packed")
        arrays.append(value)
        return {_KIND: "array", "at": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _described(getattr(value, f.name), arrays) for f in fields(value)}
        return {_KIND: "value", "of": type(value).__name__, "parts": parts}
    if isinstance(value, tuple):
        return {_KIND: "tuple", "parts": [_described(part, arrays) for part in value]}
    if isinstance(value, dict):
        parts = {str(name): _described(part, arrays) for name, part in value.items()}
        return {_KIND: "dict", "parts": parts}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be packed")


def _made(shape: Any, held: Any, known: dict[str, type]) -> Any:
    if not isinstance(shape, dict):
        return shape
    kind = shape[_KIND]
    if kind == "array":
        return held[f"a{shape['at']}"]
    if kind == "tuple":
        return tuple(_made(part, held, known) for part in shape["parts"])
    parts = {name: _made(part, held, known) for name, part in shape["parts"].items()}
    return parts if kind == "dict" else known[shape["of"]](**parts)
