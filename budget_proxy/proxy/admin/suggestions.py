"""What could be set otherwise. To read: the command line applies it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from budget_proxy.analytics.periods import seconds_of
from budget_proxy.analytics.suggestions.base import KINDS, Kind
from budget_proxy.analytics.suggestions.find import scene_of
from budget_proxy.analytics.suggestions.find import suggestions as found_in
from budget_proxy.analytics.suggestions.listing import SPAN, Listing, listing, options_of
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import Name, Question, Span
from budget_proxy.proxy.health import shown


class AskedSuggestions(Question):
    """What ``/suggestions`` is asked."""

    kind: Kind | None = Field(None, description="Only suggestions of this kind.")
    by: Literal["agent", "task", "model"] | None = Field(
        None, description="Add them up by that, too."
    )
    since: Span = Field(SPAN, description="What they are made from: the last 24h, 7d or 2w.")
    agent: Name | None = Field(None, description="Only about this agent's calls.")
    model: Name | None = Field(None, description="Only about this model's calls.")


def suggestions(engine: Engine, asked: AskedSuggestions) -> Listing:
    """Settings and changes with what they are worth, as `budget-proxy suggest --json`."""
    named = {"agent": asked.agent, "model": asked.model}
    where = {name: value for name, value in named.items() if value is not None}
    now, url = engine.now(), shown(engine.store.url)
    scene = scene_of(engine.store, engine.settings, now, now - seconds_of(asked.since), **where)
    found = found_in(scene, KINDS if asked.kind is None else (asked.kind,))
    key = "task_type" if asked.by == "task" else asked.by
    return listing(url, scene, found, key, options_of(asked.since, url, where))


ENDPOINTS = (Endpoint("GET", "/suggestions", AskedSuggestions, Listing, suggestions),)
