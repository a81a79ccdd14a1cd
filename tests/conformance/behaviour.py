"""A behaviour: something that users of an SDK do, by name, whichever way leads to the provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.conformance.visit import Visit

Run = Callable[[Visit], Awaitable[Any]]
"""What is done on a visit; what it returns is what the client got, to be compared."""


@dataclass(frozen=True)
class Behaviour:
    """One row of the first table in docs/compatibility.md.

    ``calls`` is the number of completion calls that the provider sees; in enforce mode each is
    given something of ours, unless ``untouched`` says why not.
    """

    area: str
    name: str
    run: Run
    calls: int
    untouched: str = ""

    @property
    def id(self) -> str:
        """Its name in a test's."""
        return f"{self.area}: {self.name}"

    @property
    def text(self) -> str:
        """What is done, in a sentence."""
        return " ".join((self.run.__doc__ or "").split())


BEHAVIOURS: Final[dict[str, Behaviour]] = {}
"""Every behaviour, in the order in which they are written."""


def behaviour(area: str, name: str, *, calls: int = 1, untouched: str = "") -> Callable[[Run], Run]:
    """Register what a function does on a visit."""

    def register(run: Run) -> Run:
        one = Behaviour(area, name, run, calls, untouched)
        assert one.id not in BEHAVIOURS, f"two behaviours are called {one.id}"
        BEHAVIOURS[one.id] = one
        return run

    return register
