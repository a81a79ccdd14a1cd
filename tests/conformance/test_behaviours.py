"""Every behaviour, through every door: the provider's view and the client's are those without us.

In observe mode the provider sees the same requests but for the metering, in enforce mode but
for what the documentation says that we add; what the client gets is the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from budget_proxy import Plan
from tests.conformance import BEHAVIOURS
from tests.conformance.additions import without_additions
from tests.conformance.behaviour import Behaviour
from tests.conformance.got import plain
from tests.conformance.site import Site, site
from tests.conformance.visit import WAYS, Way
from tests.providers import Seen

Colour = Literal["sync", "async"]
CONNECTION = frozenset({"host", "connection", "content-length", "accept-encoding"})
"""Headers that belong to one connection, and the coding that its ends agree upon."""
BOUNDARY = re.compile(r"boundary=([^;]+)")


@pytest.fixture(scope="module", params=["observe", "enforce"])
def place(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One site a mode; what is learned on the way is the history of an ordinary day."""
    with site(mode=request.param) as made:
        yield made


@pytest.fixture(scope="module")
def direct() -> dict[tuple[str, str], tuple[Any, list[Seen]]]:
    """What came of each behaviour without us; run once for every way that is compared with it."""
    return {}


@pytest.mark.xdist_group("conformance")
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
async def test_a_behaviour_is_the_same_through_us(
    place: Site, direct: dict[Any, Any], behaviour: Behaviour, way: Way, colour: Colour
) -> None:
    """For provider and client alike; every attempt is settled before the next, by what it used."""
    if (behaviour.id, colour) not in direct:
        direct[behaviour.id, colour] = await _made(place, behaviour, "direct", colour)
    without, expected = direct[behaviour.id, colour]
    got, seen = await _made(place, behaviour, way, colour)
    place.settle(behaviour.calls)
    assert got == without
    assert len(place.calls) == len(place.settled) == behaviour.calls
    assert place.before_each == list(range(behaviour.calls))
    assert place.engine.faults == {}
    plans = iter([plan for plan, _ in place.settled])
    assert len(seen) == len(expected)
    for own, ours in zip(expected, seen, strict=True):
        call = ours in place.calls
        _compare(own, ours, next(plans) if call else None, behaviour, place)


async def _made(
    place: Site, behaviour: Behaviour, way: Way, colour: Colour
) -> tuple[Any, list[Seen]]:
    async with place.visit(way, colour) as visit:
        got = plain(await behaviour.run(visit))
    place.arrive(behaviour.calls)
    return got, list(place.provider.requests)


def _compare(own: Seen, ours: Seen, plan: Plan | None, behaviour: Behaviour, place: Site) -> None:
    assert (ours.method, ours.path, ours.query) == (own.method, own.path, own.query)
    assert _headers(ours) == _headers(own)
    if plan is None or not plan.added:
        assert _content(ours) == _content(own)
        assert behaviour.untouched or plan is None or place.engine.settings.mode == "observe"
        return
    rest, added = without_additions(ours.body, plan, own.body)
    assert rest == own.body
    if place.engine.settings.mode == "observe":
        assert added == {"usage"}
    else:
        assert added


def _headers(seen: Seen) -> dict[str, str]:
    kept = {name: text for name, text in seen.headers.items() if name not in CONNECTION}
    return {name: BOUNDARY.sub("boundary=b", text) for name, text in kept.items()}


def _content(seen: Seen) -> bytes:
    """The bytes; a form's boundary is drawn anew each time."""
    boundary = BOUNDARY.search(seen.headers.get("content-type", ""))
    return seen.content.replace(boundary[1].encode(), b"b") if boundary else seen.content
