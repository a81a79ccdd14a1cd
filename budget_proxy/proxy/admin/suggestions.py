"""What could be set otherwise. To read: the command line applies it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from budget_proxy.analytics.encoding import named
from budget_proxy.analytics.periods import seconds_of
from budget_proxy.analytics.suggestions.base import Kind
from budget_proxy.analytics.suggestions.find import kinds_of, scene_of, worth
from budget_proxy.analytics.suggestions.find import suggestions as found_in
from budget_proxy.analytics.suggestions.listing import SPAN, Listed, Listing, listing, options_of
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.paging import Paged, page_of
from budget_proxy.proxy.admin.question import OfGroup, Span
from budget_proxy.proxy.health import shown

_CURSOR: Final = re.compile(
    r"(-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)_([0-9]{1,18})_([0-9])_([0-9a-f]{6})"
)
_WRITTEN: Final = r"^[0-9]{1,9}\.[0-9]{1,9}_[0-9]{1,9}_[0-7]_[0-9a-f]{6}$"


@dataclass(frozen=True, slots=True)
class Suggestions(Listing):
    """A page of the suggestions, and what holds of all of them.

    ``next`` is the cursor of the next page, null at the end.
    """

    next: str | None


def _cursor(text: str) -> str:
    _worth(text)
    return text


def _worth(text: str) -> tuple[float, int, int, str]:
    """What the last suggestion of the page before was worth, as they are sorted."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise ValueError("should be the `next` of the page before")
    return -float(found[1]), -int(found[2]), int(found[3]), found[4]


Cursor = Annotated[
    str,
    Field(max_length=60),
    AfterValidator(_cursor),
    WithJsonSchema({"type": "string", "pattern": _WRITTEN}),
]


class AskedSuggestions(OfGroup, Paged):
    """What ``/suggestions`` is asked."""

    kind: Kind | None = Field(None, description="Only suggestions of this kind.")
    by: Literal["agent", "task", "model"] | None = Field(
        None, description="Add them up by that, too."
    )
    since: Span = Field(SPAN, description="What they are made from: the last 24h, 7d or 2w.")
    cursor: Cursor | None = Field(None, description="The `next` of the page before.")


def suggestions(engine: Engine, asked: AskedSuggestions) -> Suggestions:
    """Settings and changes with what they are worth, as `budget-proxy suggest --json`."""
    where, now, url = asked.where(), engine.now(), shown(engine.store.url)
    scene = scene_of(engine.store, engine.settings, now, now - seconds_of(asked.since), **where)
    found = found_in(scene, kinds_of(asked.kind, where))
    key = "task_type" if asked.by == "task" else asked.by
    every = listing(url, scene, found, key, options_of(asked.since, url, where))
    left = every.suggestions if asked.cursor is None else _after(every.suggestions, asked.cursor)
    page, cursor = page_of(left, asked.limit, _told)
    return Suggestions(**named(every) | {"suggestions": page}, next=cursor)


def _after(found: Sequence[Listed], cursor: str) -> Sequence[Listed]:
    """What comes after the last one of the page before, also if that is worth more by now."""
    last = _worth(cursor)
    for index, one in enumerate(found):
        if one.id == last[-1]:
            return found[index + 1 :]
    return [one for one in found if worth(one) > last]


def _told(one: Listed) -> str:
    money, tokens, kind, id_ = worth(one)
    return f"{-money!r}_{-tokens}_{kind}_{id_}"


ENDPOINTS = (Endpoint("GET", "/suggestions", AskedSuggestions, Suggestions, suggestions),)
