"""Which HTTP library a client is built on: ``httpx`` or its fork ``httpx2``.

The SDKs moved from one to the other, both may be installed, and their objects do not mix.
So neither is ever imported here: the client's own class says whose it is.
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import Any, Final

from budget_proxy.errors import InvalidInput

_FAMILIES: Final = ("httpx", "httpx2")


def family_of(thing: object) -> Any:
    """The HTTP library of one of its objects or classes, as a module.

    Raises InvalidInput where it belongs to neither.
    """
    return _family_of(thing if isinstance(thing, type) else type(thing))


@cache
def _family_of(kind: type) -> ModuleType:
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in _FAMILIES:
            return sys.modules[root]
    raise InvalidInput(
        f"{kind.__qualname__} is built neither on httpx nor on httpx2, so it cannot be wrapped"
    )


@cache
def joined(kind: Any, family: Any) -> Any:
    """``kind`` as a subclass of the family's class that it names as its ``base``.

    The families insist on their own base classes for the streams of responses.
    """
    bases = (kind, getattr(family, kind.base))
    return type(kind.__name__, bases, {"__module__": kind.__module__})
