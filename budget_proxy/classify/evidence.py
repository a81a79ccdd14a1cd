"""The evidence of characteristics: what was found in a call, named when somebody asks.

Most calls are never explained, so naming waits until one is. Names are those of our cues and
structures, with the place and how often; never the text they stood in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from budget_proxy.classify.cues import Cue
from budget_proxy.classify.scan import Hit

Hits = Mapping[Cue, Hit]
Counts = tuple[str, Mapping[str, int]]
"""A place, and what was found there how often; nothing counts as not found."""
Sources = tuple[Hits | Counts, ...]

_TIMES: Final = "\N{MULTIPLICATION SIGN}"


def one(place: str, name: str, count: int = 1) -> Counts:
    """A single finding."""
    return place, {name: count}


class Evidence(Mapping[str, tuple[str, ...]]):
    """For each characteristic that has any, the names of what speaks for it, in order."""

    __slots__ = ("_sources", "_told")

    def __init__(self, sources: Mapping[str, Sources]) -> None:
        self._sources = sources
        self._told: dict[str, tuple[str, ...]] | None = None

    def __getitem__(self, characteristic: str) -> tuple[str, ...]:
        return self._names()[characteristic]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return repr(self._names())

    def _names(self) -> dict[str, tuple[str, ...]]:
        if self._told is None:
            named = {
                name: tuple(found for source in sources for found in _named(source))
                for name, sources in self._sources.items()
            }
            self._told = {name: found for name, found in named.items() if found}
        return self._told


def _named(source: Hits | Counts) -> Iterator[str]:
    if isinstance(source, tuple):
        place, counts = source
        yield from (f"{place}:{name}{_TIMES}{count}" for name, count in counts.items() if count)
        return
    for cue, hit in source.items():
        yield f"{hit.place}:{cue.name}{_TIMES}{hit.count}"
