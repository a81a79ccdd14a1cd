"""Do questions to a long history have quick answers? Functions and endpoints at 1,000,000 rows.

    python benchmarks/analytics.py [--rows N] [--history FILE]

Each question is asked five times of the function that the command line calls, and five times
over HTTP of a proxy in a process of its own, on loopback; the worst counts. Reports are to take
at most 1 s, the first page of calls 100 ms, a call 1,000 bytes on
disk (its row and what indexes have of it; signals apart). The floor is one look at every row by
SQLite alone. Exits with 1 where a limit is missed: on a machine that is busy otherwise, by that;
CPU is the function's own time. ``--history``: a file, made if it is not there, and kept.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from half_year import DAYS, build
from loopback import running, serve_ours

from budget_proxy.analytics import outlook
from budget_proxy.analytics.efficiency import efficiency_report
from budget_proxy.analytics.noticeboard import look, noticeboard
from budget_proxy.analytics.periods import seconds_of
from budget_proxy.analytics.report import make_report
from budget_proxy.analytics.suggestions.find import scene_of, suggestions
from budget_proxy.analytics.trends import MOST, trends_report
from budget_proxy.settings import load
from budget_proxy.store.base import Store
from budget_proxy.store.sqlite import SQLiteStore

ROUNDS = 5
REPORT = 1.0
PAGE = 0.1
BYTES = 1_000
BERLIN = "Europe/Berlin"
MOST_TRENDS = (
    ("hour", BERLIN), ("hour", "Asia/Kolkata"), ("hour", "Asia/Kathmandu"), ("day", BERLIN),
    ("day", "Asia/Kathmandu"), ("week", BERLIN), ("month", BERLIN),
)  # fmt: skip
"""The widest trends that may be asked for: an answer of some 20 MB, 21,000 figures."""


@dataclass(frozen=True)
class Question:
    """A question by its name: the function that answers it, and the same over HTTP."""

    name: str
    limit: float
    path: str
    params: dict[str, Any]
    function: Callable[[Store], Any]


def questions(newest: float) -> list[Question]:
    """All questions, to a history whose newest call is of that time."""
    found = [
        _report({}),
        _report({"since": "30d"}),
        _efficiency("efficiency by agent, 7 days", {"by": "agent", "start": newest - 7 * 86_400}),
        _efficiency("efficiency by group, one model", {"by": "group", "model": "gpt-5.4"}),
    ]
    found += [
        _trends(unit, by) for unit in ("hour", "day", "week", "month") for by in ("", "agent")
    ]
    found += [_most_trends(unit, zone) for unit, zone in MOST_TRENDS]
    found.append(Question("alerts", REPORT, "/alerts", {}, _alerts))
    found.append(Question("suggestions", REPORT, "/suggestions", {}, _suggestions))
    found += [_projection(by) for by in ("", "agent", "group")]
    return found + [_page(name, params) for name, params in _pages(newest).items()]


def _report(params: dict[str, Any]) -> Question:
    def function(store: Store) -> Any:
        now = time.time()
        since = now - seconds_of(params["since"]) if params else None
        return make_report(store, now=now, zone=ZoneInfo(BERLIN), since=since)

    name = " of ".join(["report", *params.values()])
    return Question(name, REPORT, "/report", {"zone": BERLIN, **params}, function)


def _alerts(store: Store) -> Any:
    now = time.time()
    return noticeboard(store, look(store, now), now)


def _suggestions(store: Store) -> Any:
    now = time.time()
    return suggestions(scene_of(store, load(), now, now - 30 * 86_400))


def _efficiency(name: str, params: dict[str, Any]) -> Question:
    where = {key: value for key, value in params.items() if key != "by"}
    function = lambda store: efficiency_report(store.sums(**where))  # noqa: E731 (short)
    return Question(name, REPORT, "/efficiency", params, function)


def _trends(unit: Any, by: Any) -> Question:
    def function(store: Store) -> Any:
        return trends_report(store, unit, ZoneInfo(BERLIN), now=time.time(), by=by or None)

    params = {"unit": unit, "zone": BERLIN} | ({"by": by} if by else {})
    name = f"trends by {unit}" + (f" and {by}" if by else "")
    return Question(name, REPORT, "/trends", params, function)


def _most_trends(unit: Any, zone: str) -> Question:
    """As many periods and groups as may be asked for."""

    def function(store: Store) -> Any:
        now = time.time()
        return trends_report(store, unit, ZoneInfo(zone), now=now, last=MOST, by="group")

    params = {"unit": unit, "zone": zone, "last": MOST, "by": "group"}
    return Question(f"trends by {MOST:,} {unit}s, {zone}", REPORT, "/trends", params, function)


def _projection(by: Any) -> Question:
    def function(store: Store) -> Any:
        asked = outlook.Question(by=by or None, limits={"cost": 1e6})
        return outlook.outlook(store, ZoneInfo(BERLIN), time.time(), asked)

    params = {"zone": BERLIN, "limit_usd": 1e6} | ({"by": by} if by else {})
    name = "projection" + (f" by {by}" if by else "")
    return Question(name, REPORT, "/projection", params, function)


def _pages(newest: float) -> dict[str, dict[str, Any]]:
    """What pages of calls are asked by: what is usual, rare, there no more and never was."""
    old = {"start": newest - 120 * 86_400, "end": newest - 90 * 86_400}
    return {
        "all": {},
        "of 1,000": {"limit": 1000},
        "an agent": {"agent": "agent-0"},
        "a small agent": {"agent": "agent-11"},
        "no agent": {"agent": "nobody"},
        "a model": {"model": "claude-haiku-5"},
        "no model": {"model": "none"},
        "a task type": {"task_type": "question"},
        "a group": {"agent": "agent-3", "task_type": "testing", "model": "claude-haiku-5"},
        "agent and model": {"agent": "agent-11", "model": "gpt-5.4"},
        "truncated": {"truncated": True},
        "an agent's truncated": {"agent": "agent-11", "truncated": True},
        "failed": {"finish_reason": "error"},
        "never seen": {"finish_reason": "refusal"},
        "held out": {"arm": "holdout"},
        "an agent's held out": {"arm": "holdout", "agent": "agent-8", "model": "gpt-5.4"},
        "no session": {"session": "none"},
        "no run": {"run": "none"},
        "a month, long ago": old,
        "a month of an agent": {**old, "agent": "agent-11"},
        "a month's failed": {**old, "finish_reason": "error"},
        "before all": {"end": newest - 2 * DAYS * 86_400},
    }


def _page(name: str, params: dict[str, Any]) -> Question:
    told = {key: str(value).lower() for key, value in params.items()}
    return Question(f"calls: {name}", PAGE, "/calls", told, lambda store: store.page(**params).rows)


def worst(ask: Callable[[], Any], clock: Callable[[], float] = perf_counter) -> float:
    """The longest of some rounds, in seconds."""
    longest = 0.0
    for _ in range(ROUNDS):
        start = clock()
        ask()
        longest = max(longest, clock() - start)
    return longest


def over_http(connection: HTTPConnection, question: Question) -> int:
    """Ask over HTTP; the bytes of the answer."""
    query = urlencode(question.params)
    connection.request("GET", f"/v1/budget{question.path}?{query}")
    reply = connection.getresponse()
    content = reply.read()
    assert reply.status == 200, content[:300]
    return len(content)


def on_disk(path: Path) -> dict[str, int]:
    """Bytes by table, indexes with the table that they are of."""
    connection = sqlite3.connect(path)
    found = connection.execute(
        "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
        "GROUP BY 1"
    )
    sizes = {name: int(size) for name, size in found}
    connection.close()
    return sizes


def look_at_all(path: Path) -> float:
    """The worst time of SQLite alone for one look at every row, in seconds."""
    connection = sqlite3.connect(path)
    seconds = worst(lambda: connection.execute("SELECT sum(cost) FROM calls").fetchone())
    connection.close()
    return seconds


def measure(path: Path) -> bool:
    """Ask everything, and print; whether every limit is kept."""
    store = SQLiteStore(path)
    store.migrate()
    rows = store.counts()["calls"]
    newest = store.recent(1)[0].ts
    print(f"{rows:,} calls; worst of {ROUNDS}, ms\n")
    print(f"{'question':34} {'CPU':>8} {'function':>9} {'HTTP':>9} {'limit':>6} {'bytes':>10}")
    kept = True
    with running(serve_ours, "http://127.0.0.1:9", str(path.parent)) as (port, _):
        for one in questions(newest):
            busy = worst(partial(one.function, store), process_time)
            inside = worst(partial(one.function, store))
            with closing(HTTPConnection("127.0.0.1", port)) as connection:
                size = over_http(connection, one)
                outside = worst(partial(over_http, connection, one))
            missed = max(inside, outside) > one.limit
            kept = kept and not missed
            print(
                f"{one.name:34} {1e3 * busy:8.1f} {1e3 * inside:9.1f} {1e3 * outside:9.1f} "
                f"{1e3 * one.limit:6.0f} "
                f"{size:10,}{'  MISSED' if missed else ''}"
            )
    store.close()
    print(f"\nSELECT sum(cost) FROM calls, the floor: {1e3 * look_at_all(path):.1f} ms")
    sizes = on_disk(path)
    a_call = sizes["calls"] / rows
    print(f"on disk: {a_call:.0f} bytes a call (limit {BYTES}), sums {sizes['sums'] / rows:.0f}")
    return kept and a_call <= BYTES


def main() -> None:
    """Make a history, or take one, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--history", type=Path, help="named history.db, in a folder of its own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.history or Path(folder) / "history.db"
        if not path.exists():
            store = SQLiteStore(path)
            store.migrate()
            build(store, given.rows)
            store.close()
        sys.exit(0 if measure(path) else 1)


if __name__ == "__main__":
    main()
