"""Questions to some calls only, and lists that come page by page, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from budget_proxy.analytics.suggestions.listing import Listed
from budget_proxy.proxy.admin import suggestions as endpoint
from budget_proxy.types import CallRecord
from tests.makers import NOW
from tests.proxied import Answer, Running, running
from tests.test_proxy_admin import get, refused
from tests.test_suggestions_find import troubled
from tests.watched import calls, cut, numbered

DAY = 86_400.0
OTHERS = [("writer", "review", "model-2"), ("third", "bug-fix", "model-3")]
FILTERS = [
    {}, {"agent": "writer"}, {"task_type": "bug-fix"}, {"model": "model-1"},
    {"agent": "third", "model": "model-3"}, {"agent": "coder", "task_type": "review"},
]  # fmt: skip


def rows() -> list[CallRecord]:
    """Three groups over some days, of which each has answers that are cut in the end."""
    made = [
        *calls(1_800, groups=[("coder", "bug-fix", "model-1"), *OTHERS]),
        *(
            row
            for seed, group in enumerate([("coder", "bug-fix", "model-1"), *OTHERS], 1)
            for row in cut(calls(200, seed=seed, groups=[group]), 0.2)
        ),
    ]
    end = time.time() - 60
    return [
        replace(row, id=None, ts=end + row.ts - NOW)
        for row in (replace(row, ts=row.ts - 300 * 2_400) for row in numbered(made, seconds=300.0))
    ]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy with a history for all tests of this module; its watch has seen all of it."""
    with running(tmp_path_factory.mktemp("lists"), Answer(parts=[b"{}"])) as proxy:
        proxy.engine.store.append(rows())
        while get(proxy, "/alerts")["waiting"]:
            pass
        yield proxy


def mine(every: list[CallRecord], where: dict[str, str]) -> list[CallRecord]:
    """The rows that filters ask for."""
    return [row for row in every if all(getattr(row, k) == v for k, v in where.items())]


@pytest.mark.parametrize("where", FILTERS)
def test_a_report_is_of_the_calls_that_are_asked_for(
    proxied: Running, where: dict[str, str]
) -> None:
    """All of its parts: figures, spenders, cut answers, what changed, and its course."""
    its = mine(list(proxied.engine.store.calls()), where)
    found = get(proxied, "/report", since="3d", **where)
    late = [row for row in its if row.ts >= found["since"]]
    cost = sum(row.cost or 0.0 for row in late)
    assert found["overall"]["calls"] == len(late)
    assert found["overall"]["priced_cost"] == pytest.approx(cost)
    assert sum(one["cost"] or 0 for one in found["spenders"]["agent"]) == pytest.approx(cost)
    assert sum(one["calls"] for one in found["course"]) == len(late)
    newest = [row.call_id for row in reversed(late) if row.truncated][:10]
    assert [one["call_id"] for one in found["truncations"]["newest"]] == newest
    if found["previous"] is not None:
        before = found["previous"]["before"]
        count = sum(before["start"] <= row.ts < before["end"] for row in its)
        (change,) = (one for one in found["previous"]["changes"] if one["measure"] == "calls_a_day")
        days = (before["end"] - before["start"]) / DAY
        assert change["before"] == pytest.approx(count / days)


@pytest.mark.parametrize("where", FILTERS)
def test_a_projection_is_of_the_calls_that_are_asked_for(
    proxied: Running, where: dict[str, str]
) -> None:
    """The days that were, the running one, and what a limit has to bear."""
    its = mine(list(proxied.engine.store.calls()), where)
    found = get(proxied, "/projection", measure="calls", limit_tokens=1e9, window="day", **where)
    midnight = found["now"] // DAY * DAY
    assert sum(one["amount"] for one in found["past"]) == sum(row.ts < midnight for row in its)
    if found["limits"]:
        tokens = sum(
            (row.input_tokens or 0) + (row.output_tokens or 0) for row in its if row.ts >= midnight
        )
        assert found["limits"]["tokens"]["spent"] == pytest.approx(tokens)


def paged(proxy: Running, path: str, name: str, **params: Any) -> list[list[Any]]:
    """The pages of a list."""
    page = get(proxy, path, **params)
    found: list[list[Any]] = [page[name]]
    while page["next"] is not None:
        page = get(proxy, path, cursor=page["next"], **params)
        found.append(page[name])
    return found


def test_alerts_come_page_by_page_and_of_some_calls(proxied: Running) -> None:
    """The oldest first; an alert is of an agent, a kind or a model that its scope names."""
    every = get(proxied, "/alerts", all="true")["alerts"]
    assert len(every) >= 3
    pages = paged(proxied, "/alerts", "alerts", all="true", limit=2)
    assert [len(page) for page in pages[:-1]] == [2] * (len(pages) - 1)
    assert [one for page in pages for one in page] == every
    for where in FILTERS[1:]:
        expected = [one for one in every if all(one[k] == v for k, v in where.items())]
        assert get(proxied, "/alerts", all="true", **where)["alerts"] == expected
    assert get(proxied, "/alerts", agent="writer")["alerts"]
    assert refused(httpx.get(f"{proxied.url}/v1/budget/alerts?cursor=x"), 400)["param"] == "cursor"


@pytest.fixture(scope="module")
def advised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A proxy on a history with a dozen suggestions."""
    with running(tmp_path_factory.mktemp("advised"), Answer(parts=[b"{}"])) as proxy:
        late = time.time() - DAY - NOW
        troubles = [*troubled("a"), *troubled("b")]
        proxy.engine.store.append([replace(row, ts=row.ts + late) for row in troubles])
        yield proxy


def test_suggestions_come_page_by_page(advised: Running) -> None:
    """Those worth most first, each once, and all of them added up on every page."""
    every = get(advised, "/suggestions", by="agent")
    ids = [one["id"] for one in every["suggestions"]]
    assert len(ids) > 6
    pages = paged(advised, "/suggestions", "suggestions", limit=2)
    assert [one["id"] for page in pages for one in page] == ids
    page = get(advised, "/suggestions", by="agent", limit=1)
    assert [one["group"] for one in page["by"]] == [one["group"] for one in every["by"]]


def test_a_page_of_suggestions_goes_on_where_the_last_one_has_gone(advised: Running) -> None:
    """By what that one was worth, if it is there no more; as it is worth now, if it is."""
    every = [Listed(**one) for one in get(advised, "/suggestions")["suggestions"]]
    for number, last in enumerate(every):
        cursor = endpoint._told(last)
        before, after = every[:number], every[number + 1 :]
        assert endpoint._after(every, cursor) == after
        assert endpoint._after([*before, *after], cursor) == after
        less = replace(last, money=None, tokens=0)
        assert endpoint._after([*before, less, *after], cursor) == after


@pytest.mark.parametrize("cursor", ["7", "nan_1_0_abcdef", "1.0_1_0_xyzxyz", "1._1_0_abcdef"])
def test_a_cursor_that_is_none_is_refused(advised: Running, cursor: str) -> None:
    """It says where cursors come from."""
    url = f"{advised.url}/v1/budget/suggestions"
    error = refused(httpx.get(url, params={"cursor": cursor}), 400)
    assert error["param"] == "cursor"
    assert "`next`" in error["message"]
