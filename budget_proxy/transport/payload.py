"""Bodies as bytes and back, without loss: the fast library first, the thorough one where needed.

orjson refuses lone surrogates, which some clients send, and rounds integers beyond 64 bits. The
standard library takes both. NaN and Infinity are no JSON, to providers neither.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")


def decoded(content: bytes) -> Any:
    """The value of a JSON text; ``None`` where it is none."""
    if _LONG_NUMBER.search(content) is None:
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass
    try:
        return json.loads(content, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def encoded(value: Any) -> bytes:
    """The JSON text of a value that ``decoded`` gave."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()
