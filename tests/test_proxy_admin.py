"""What ``/v1/budget`` answers and refuses, asked over HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from budget_proxy.errors import StoreError
from budget_proxy.store.base import Store
from budget_proxy.types import CallRecord
from tests.command_line import answered
from tests.makers import record
from tests.proxied import Answer, Running, running
from tests.proxy_payloads import CHAT, HELLO, plain
from tests.watched import calls, cut, numbered

NOW = float(int(time.time()))
DAY = 86_400.0


def rows() -> list[CallRecord]:
    """Forty calls of the last ten days, of two agents, and one that was sent again."""
    found = [
        answered(
            number, ts=NOW - DAY * (number // 4) - 60, agent="ab"[number % 2],
            model=("gpt-5.4", "claude-sonnet-5")[number % 3 == 0],
            truncated=number % 10 == 0, finish_reason="length" if number % 10 == 0 else "stop",
        )
        for number in range(40)
    ]  # fmt: skip
    again = record(
        ts=NOW - 30, call_id="again/1", agent="c", session="s1", run="r1", arm="holdout",
        reason="why", signals=b"secret", recommended=150, cut_by_us=True,
    )  # fmt: skip
    more = record(ts=NOW - 30, call_id="again/1", attempt=2, agent="c", recommended=150)
    return [*found, again, more]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy with a history for all tests of this module."""
    with running(tmp_path_factory.mktemp("admin"), Answer(parts=[b"{}"])) as proxy:
        proxy.engine.store.append(rows())
        yield proxy


def get(proxy: Running, path: str, **params: Any) -> Any:
    """The answer to a question that is a good one."""
    reply = httpx.get(f"{proxy.url}/v1/budget{path}", params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def refused(reply: httpx.Response, status: int) -> dict[str, Any]:
    """The error object of a refusal."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    (error,) = reply.json().values()
    assert set(error) == {"message", "type", "param"}
    return dict(error)


def test_nothing_is_asked_of_the_provider(proxied: Running) -> None:
    """Not even where there is no such endpoint: our paths are ours."""
    proxied.upstream.seen.clear()
    get(proxied, "/report")
    for path in ("/v1/budget", "/v1/budget/", "/v1/budget/nothing", "/v1/budget/calls/a/b"):
        error = refused(httpx.get(f"{proxied.url}{path}"), 404)
        assert "/v1/budget/report" in error["message"]
    assert proxied.upstream.seen == []


def test_the_report_is_of_the_whole_history_or_the_last_days(proxied: Running) -> None:
    """Calls on the last three days: 4 a day, and the one that was sent again."""
    assert get(proxied, "/report")["overall"]["calls"] == 41
    report = get(proxied, "/report", since="3d")
    assert report["overall"]["calls"] == 13
    assert report["since"] == pytest.approx(time.time() - 3 * DAY, abs=60)


def test_efficiency_is_of_a_span_and_a_group(proxied: Running) -> None:
    """Times as Unix seconds, or as people write them, with or without an escaped plus."""
    found = get(proxied, "/efficiency", by="model", agent="a", start=NOW - 2 * DAY)
    assert [figures["group"] for figures in found["groups"]] == [["claude-sonnet-5"], ["gpt-5.4"]]
    assert found["overall"]["calls"] == 4
    assert (found["start"], found["end"]) == (NOW - DAY - 60, NOW - 60)
    at = datetime.fromtimestamp(NOW - 2 * DAY, tz=UTC)
    for text in (at.isoformat(), at.isoformat().replace("+00:00", "Z")):
        assert get(proxied, "/efficiency", start=text)["overall"]["calls"] == 9
    raw = f"{proxied.url}/v1/budget/efficiency?start={at.isoformat()}"  # the plus as it stands
    assert httpx.get(raw).json()["overall"]["calls"] == 9
    nobody = get(proxied, "/efficiency", agent="nobody")
    assert (nobody["groups"], nobody["start"]) == ([], None)


def test_trends_are_in_a_zone(proxied: Running) -> None:
    """By group; of one measure."""
    found = get(
        proxied, "/trends", unit="week", last=3, zone="Asia/Tokyo", by="agent", measure="calls"
    )
    assert (found["unit"], found["zone"], len(found["periods"])) == ("week", "Asia/Tokyo", 3)
    assert [group["group"] for group in found["groups"]] == [["a"], ["b"], ["c"]]
    assert [trend["measure"] for trend in found["groups"][0]["trends"]] == ["calls"]


def paged(proxy: Running, **params: Any) -> list[Any]:
    """All calls, page by page."""
    page = get(proxy, "/calls", **params)
    found: list[Any] = page["calls"]
    while page["next"] is not None:
        page = get(proxy, "/calls", cursor=page["next"], **params)
        found += page["calls"]
    return found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, 42), ({"agent": "a"}, 20), ({"agent": "a", "truncated": "true"}, 4),
        ({"truncated": "false"}, 38), ({"finish_reason": "length"}, 4),
        ({"model": "gpt-5.4", "task_type": "bug-fix"}, 26), ({"session": "s1"}, 1),
        ({"run": "r1"}, 1), ({"arm": "holdout"}, 1), ({"since": "2d"}, 10),
        ({"start": NOW - 9 * DAY, "end": NOW - 8 * DAY}, 4), ({"agent": "nobody"}, 0),
    ],
)  # fmt: skip
def test_calls_come_page_by_page(proxied: Running, asked: dict[str, Any], expected: int) -> None:
    """Newest first, each once, whatever they are asked by."""
    found = paged(proxied, limit=3, **asked)
    assert len({row["id"] for row in found}) == len(found) == expected
    assert [row["ts"] for row in found] == sorted((row["ts"] for row in found), reverse=True)


def test_a_call_has_all_its_attempts_and_its_reason(proxied: Running) -> None:
    """Whatever is in its id; no signals go out."""
    found = get(proxied, "/calls/" + quote("again/1", safe=""))
    assert found["call_id"] == "again/1"
    assert [row["attempt"] for row in found["attempts"]] == [1, 2]
    assert found["attempts"][0]["reason"] == "why"
    assert "signals" not in found["attempts"][0]
    assert [row["judgement"]["verdict"] for row in found["attempts"]] == ["accurate", "untold"]
    error = refused(httpx.get(f"{proxied.url}/v1/budget/calls/none"), 404)
    assert (error["type"], error["param"]) == ("not_found_error", "call_id")


def test_each_attempt_is_judged_by_its_budget(proxied: Running) -> None:
    """100 of 150 are 67 %: neither much nor little; what repeats one that we cut is not counted."""
    again, first = get(proxied, "/calls", agent="c")["calls"]
    assert first["judgement"]["use"] == pytest.approx(100 / 150)
    assert first["judgement"]["verdict"] == "accurate"
    assert (again["attempt"], again["judgement"]["use"]) == (2, None)
    assert again["judgement"]["reason"] == "it repeats an answer that our cap cut"


def test_a_call_that_has_just_ended_is_there(proxied: Running) -> None:
    """Rows are written in batches: asking waits for the batch."""
    proxied.answering(plain(CHAT))
    httpx.post(
        f"{proxied.url}/v1/chat/completions", headers={"x-budget-agent": "fresh"},
        json={"model": "gpt-5.4", "messages": HELLO},
    )  # fmt: skip
    (row,) = get(proxied, "/calls", agent="fresh")["calls"]
    assert row["model"] == "gpt-5.4"


@pytest.mark.parametrize(
    ("path", "param", "hint"),
    [
        ("/report?since=soon", "since", "7d"),
        ("/report?colour=red", "colour", "since"),
        ("/report?since=1d&since=2d", "since", "once"),
        ("/efficiency?by=colour", "by", "'agent', 'task', 'model' or 'group'"),
        ("/efficiency?start=yesterday", "start", "2026-11-27T12:00:00Z"),
        ("/efficiency?start=2026-11-27T12:00:00", "start", "2026-11-27T12:00:00Z"),
        ("/efficiency?end=nan", "end", "number"),
        ("/efficiency?end=1e300", "end", "less than or equal"),
        ("/efficiency?start=0&since=7d", None, "start or since"),
        ("/efficiency?agent=", "agent", "at least 1 character"),
        ("/trends?unit=year", "unit", "'hour', 'day', 'week' or 'month'"),
        ("/trends?last=1", "last", "greater than or equal to 2"),
        ("/trends?last=501", "last", "less than or equal to 500"),
        ("/trends?zone=Mars/Base", "zone", "Europe/Berlin"),
        ("/trends?measure=joy", "measure", "efficiency"),
        ("/projection?days=0", "days", "greater than or equal to 1"),
        ("/projection?at=tomorrow", "at", "should be a day such as 2026-11-27"),
        ("/projection?at=2999-01-01", "at", "still to come"),
        ("/efficiency?start=20&end=10", "end", "after start"),
        ("/calls?start=20&end=10", "end", "after start"),
        ("/projection?at=0001-01-01", "at", "greater than or equal to 1971-01-01"),
        ("/projection?limit_usd=0", "limit_usd", "greater than 0"),
        ("/projection?limit_tokens=inf", "limit_tokens", "finite"),
        ("/projection?window=year", "window", "'day', 'week' or 'month'"),
        ("/calls?limit=0", "limit", "greater than or equal to 1"),
        ("/calls?limit=1001", "limit", "less than or equal to 1000"),
        ("/calls?cursor=7", "cursor", "next"),
        ("/calls?cursor=nan_1", "cursor", "next"),
        ("/calls?cursor=1_99999999999999999999", "cursor", "next"),
        ("/calls?finish_reason=tired", "finish_reason", "'stop', 'length'"),
        ("/calls?truncated=perhaps", "truncated", "boolean"),
        ("/calls?arm=third", "arm", "'treatment' or 'holdout'"),
        ("/calls/again?since=7d", "since", "none"),
        ("/calls?" + "a=1&" * 101, None, "at most 100"),
    ],
)
def test_wrong_parameters_say_what_is_right(
    proxied: Running, path: str, param: str | None, hint: str
) -> None:
    """Each names the parameter that is wrong."""
    error = refused(httpx.get(f"{proxied.url}/v1/budget{path}"), 400)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert hint in error["message"]


def test_head_is_get_without_the_answer(proxied: Running) -> None:
    """Its length is told all the same."""
    reply = httpx.head(f"{proxied.url}/v1/budget/calls?agent=a")
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["content-length"]) > 1000
    assert httpx.head(f"{proxied.url}/v1/budget/calls?limit=0").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/report", "GET, HEAD"), ("DELETE", "/calls/c1", "GET, HEAD"),
        ("OPTIONS", "/openapi.json", "GET, HEAD"), ("GET", "/predict", "POST"),
        ("HEAD", "/predict", "POST"),
    ],
)  # fmt: skip
def test_other_methods_are_told_which_there_are(
    proxied: Running, method: str, path: str, allow: str
) -> None:
    """405, with Allow."""
    reply = httpx.request(method, f"{proxied.url}/v1/budget{path}")
    assert (reply.status_code, reply.headers["allow"]) == (405, allow)


def test_a_task_is_predicted(proxied: Running) -> None:
    """For an agent and a model, by a strategy; a wrong descriptor names its field."""
    url = f"{proxied.url}/v1/budget/predict"
    reply = httpx.post(url, json={"type": "bug"}, params={"agent": "a", "strategy": "fixed:77"})
    found = reply.json()
    assert (found["agent"], found["recommended"], found["strategy"]) == ("a", 77, "fixed:77")
    assert found["characteristics"]["task_type"] == "bug-fix"
    error = refused(httpx.post(url, json={"priority": "soon"}), 400)
    assert "priority must be one of critical" in error["message"]
    error = refused(httpx.post(url, json=[]), 400)
    assert error["param"] == "task"
    error = refused(httpx.post(url, json={}, params={"strategy": "luck"}), 400)
    assert "known are" in error["message"]
    reply = httpx.post(url, content=b"{", headers={"content-type": "application/json"})
    assert "no valid JSON" in refused(reply, 400)["message"]
    reply = httpx.post(url, json={"description": "x" * 1024 * 1024})
    assert refused(reply, 413)["type"] == "request_too_large"


def test_alerts_are_acknowledged_and_muted(tmp_path: Path) -> None:
    """And heard of again; each answer lists what is open then."""
    with running(tmp_path, Answer()) as proxy:
        proxy.engine.store.append(numbered(calls(600), cut(calls(200, seed=1), 0.2)))
        url = f"{proxy.url}/v1/budget/alerts"
        (alert,) = get(proxy, "/alerts")["alerts"]
        assert (alert["cause"], alert["acknowledged"], alert["muted"]) == (
            "truncation",
            None,
            False,
        )
        (seen,) = httpx.post(f"{url}/{alert['id']}/ack", json={}).json()["alerts"]
        assert seen["acknowledged"] is not None
        muted = httpx.post(f"{url}/mute", json={"what": str(alert["id"]), "span": "7d"}).json()
        assert (muted["alerts"], muted["hidden"]) == ([], 1)
        assert [one["muted"] for one in get(proxy, "/alerts", all="true")["alerts"]] == [True]
        assert httpx.post(f"{url}/unmute", json={"what": str(alert["id"])}).json()["hidden"] == 0
        group = {"what": "group", "agent": alert["agent"]}
        muted = httpx.post(f"{url}/mute", json=group).json()
        assert [(one["agent"], one["until"]) for one in muted["mutes"]] == [(alert["agent"], None)]
        assert muted["hidden"] == 1


@pytest.mark.parametrize(
    ("path", "body", "param", "hint"),
    [
        ("/alerts/x/ack", {}, "number", "integer"),
        ("/alerts/1/ack", {"when": 1}, "when", "not permitted"),
        ("/alerts/mute", {}, "what", "required"),
        ("/alerts/mute", [], "muting", "a JSON object with what, agent, task_type, model, span"),
        ("/alerts/unmute", "1", "muting", "a JSON object with what, agent, task_type, model"),
        ("/alerts/1/ack", [], "nothing", "the body should be a JSON object"),
        ("/alerts/mute", {"what": "weather"}, None, "those are"),
        ("/alerts/mute", {"what": "group"}, None, "name the calls"),
        ("/alerts/mute", {"what": "truncation", "span": "soon"}, "span", "7d"),
        ("/alerts/unmute", {"what": "truncation", "span": "7d"}, "span", "not permitted"),
    ],
)
def test_wrong_bodies_say_what_is_right(
    proxied: Running, path: str, body: Any, param: str | None, hint: str
) -> None:
    """Each names the part that is wrong."""
    error = refused(httpx.post(f"{proxied.url}/v1/budget{path}", json=body), 400)
    assert error["param"] == param
    assert hint in error["message"]


def test_an_alert_that_is_not_there_is_not_found(proxied: Running) -> None:
    """As a call that is not there."""
    error = refused(httpx.post(f"{proxied.url}/v1/budget/alerts/99/ack", json={}), 404)
    assert (error["param"], error["message"]) == ("number", "there is no alert 99")


@pytest.mark.parametrize("path", ["/predict", "/alerts/1/ack", "/alerts/mute", "/alerts/unmute"])
@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "http://x.y"}])
def test_web_pages_of_others_change_nothing(
    proxied: Running, path: str, headers: dict[str, str]
) -> None:
    """On every path that takes a body."""
    reply = httpx.post(f"{proxied.url}/v1/budget{path}", json={"what": "1"}, headers=headers)
    assert reply.status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json", "sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "application/json", "sec-fetch-site": "same-site"}, 403),
        ({"content-type": "application/json", "origin": "https://evil.example"}, 403),
        ({"content-type": "application/json", "origin": "null"}, 403),
        ({"content-type": "application/json", "host": "evil.example"}, 403),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "application/json", "sec-fetch-site": "same-origin"}, 200),
        ({"content-type": "application/json", "sec-fetch-site": "none"}, 200),
    ],
)
def test_web_pages_of_others_post_nothing(
    proxied: Running, headers: dict[str, str], status: int
) -> None:
    """Neither by a form nor by JSON; programs, and pages of our own, do."""
    reply = httpx.post(f"{proxied.url}/v1/budget/predict", content=b"{}", headers=headers)
    assert reply.status_code == status, reply.text


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_web_pages_of_others_read_nothing(proxied: Running, headers: dict[str, str]) -> None:
    """As on all paths; and what is read, no cache keeps and no other page includes."""
    reply = httpx.get(f"{proxied.url}/v1/budget/calls", headers=headers)
    assert reply.status_code == 403
    fine = httpx.get(f"{proxied.url}/v1/budget/calls")
    assert fine.headers["cache-control"] == "no-store"
    assert fine.headers["x-content-type-options"] == "nosniff"
    assert fine.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_history_that_cannot_be_read_is_said(
    proxied: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As unavailable, with the store's own words."""

    def fail(**_: Any) -> Any:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(proxied.engine.store, "sums", fail)
    error = refused(httpx.get(f"{proxied.url}/v1/budget/report"), 503)
    assert error == {"message": "the disk is gone", "type": "history_error", "param": None}


class _Gate:
    """Holds up whoever asks for sums until it is opened; counts who has come."""

    def __init__(self, store: Store) -> None:
        self.open = threading.Event()
        self.came = threading.Semaphore(0)
        self._sums = store.sums

    def sums(self, **where: Any) -> Any:
        self.came.release()
        assert self.open.wait(20)
        return self._sums(**where)


def test_slow_reports_hold_up_no_call(proxied: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """While more reports than there are threads are being made, calls go through at once.

    Beyond a number of them others are refused, not kept.
    """
    gate = _Gate(proxied.engine.store)
    monkeypatch.setattr(proxied.engine.store, "sums", gate.sums)
    proxied.answering(plain(CHAT))
    url = f"{proxied.url}/v1/budget/report"
    with ThreadPoolExecutor(32) as pool:
        asking = [pool.submit(httpx.get, url, timeout=30) for _ in range(32)]
        try:
            for _ in range(2):
                assert gate.came.acquire(timeout=10)
            for _ in range(3):
                reply = httpx.post(
                    f"{proxied.url}/v1/chat/completions", timeout=5,
                    json={"model": "gpt-5.4", "messages": HELLO},
                )  # fmt: skip
                assert reply.status_code == 200
            assert not any(one.done() for one in asking)
            deadline = time.monotonic() + 10
            while (last := httpx.get(url)).status_code != 503 and time.monotonic() < deadline:
                pass
            error = refused(last, 503)
            assert (error["type"], last.headers["retry-after"]) == ("overloaded_error", "1")
        finally:
            gate.open.set()
        assert [one.result().status_code for one in asking] == [200] * 32


async def test_the_loop_stays_awake(proxied: Running) -> None:
    """An answer is made in a thread that is none of the loop's own (they look up sessions)."""
    names: list[str] = []
    store = proxied.engine.store
    original = store.sums

    def sums(**where: Any) -> Any:
        names.append(threading.current_thread().name)
        return original(**where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "sums", sums)
        await asyncio.to_thread(httpx.get, f"{proxied.url}/v1/budget/report")
    assert {name.rpartition("_")[0] for name in names} == {"budget-proxy-admin"}


def test_the_site_closes_with_the_server(tmp_path: Path) -> None:
    """No thread of it is left behind."""
    with running(tmp_path, Answer(parts=[b"{}"])) as proxy:
        get(proxy, "/report")
        site = proxy.app._site
    with pytest.raises(RuntimeError, match="shutdown"):
        site._pool.submit(int)
