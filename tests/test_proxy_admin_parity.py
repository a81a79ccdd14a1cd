"""The command line and HTTP are twins: they say the same of the same history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from budget_proxy.proxy.admin.registry import ENDPOINTS
from budget_proxy.store import open_store
from budget_proxy.store.billed import Billed
from tests.command_line import answered, history, run_json
from tests.proxied import Answer, Running, running

DAY = 86_400.0
NOW = float(int(time.time()))
BEFORE = f"{datetime.fromtimestamp(NOW - DAY, tz=UTC):%Y-%m-%d}"
MONTH = BEFORE[:7]
TASK = "fix the login bug"
TWINS: dict[str, list[tuple[list[str], dict[str, Any]]]] = {
    "/report": [
        ([], {}),
        (
            ["--since", "3d", "--by", "group", "--zone", "Asia/Tokyo"],
            {"since": "3d", "by": "group", "zone": "Asia/Tokyo"},
        ),
        (
            ["--agent", "a", "--task-type", "bug-fix", "--model", "gpt-5.4"],
            {"agent": "a", "task_type": "bug-fix", "model": "gpt-5.4"},
        ),
    ],
    "/trends": [
        ([], {}),
        (
            ["--unit", "hour", "--last", "30", "--by", "agent", "--zone", "Asia/Kolkata"],
            {"unit": "hour", "last": 30, "by": "agent", "zone": "Asia/Kolkata"},
        ),
        (
            ["--by", "group", "--measure", "cost", "--agent", "a", "--model", "gpt-5.4"],
            {"by": "group", "measure": "cost", "agent": "a", "model": "gpt-5.4"},
        ),
        (["--task-type", "bug-fix"], {"task_type": "bug-fix"}),
    ],
    "/projection": [
        ([], {}),
        (
            ["--days", "9", "--by", "agent", "--limit-usd", "0.05", "--window", "week"],
            {"days": 9, "by": "agent", "limit_usd": 0.05, "window": "week"},
        ),
        (
            [
                "--measure",
                "tokens",
                "--method",
                "simple",
                "--at",
                BEFORE,
                "--zone",
                "Asia/Tokyo",
            ],
            {"measure": "tokens", "method": "simple", "at": BEFORE, "zone": "Asia/Tokyo"},
        ),
        (
            ["--agent", "a", "--task-type", "bug-fix", "--model", "gpt-5.4"],
            {"agent": "a", "task_type": "bug-fix", "model": "gpt-5.4"},
        ),
    ],
    "/suggestions": [
        ([], {}),
        (
            ["--by", "agent", "--since", "7d", "--kind", "over-allocated", "--agent", "a"],
            {"by": "agent", "since": "7d", "kind": "over-allocated", "agent": "a"},
        ),
        (["--task-type", "bug-fix"], {"task_type": "bug-fix"}),
    ],
    "/limits": [([], {})],
    "/alerts": [([], {}), (["--all"], {"all": "true"})],
    "/billing": [
        ([], {}),
        (
            ["--month", MONTH, "--provider", "openai"],
            {"month": MONTH, "provider": "openai"},
        ),
    ],
    "/runs": [([], {}), (["--limit", "1"], {"limit": 1})],
    "/predict": [
        ([TASK], {}),
        (
            [TASK, "--agent", "a", "--model", "gpt-5.4", "--strategy", "rolling"],
            {"agent": "a", "model": "gpt-5.4", "strategy": "rolling"},
        ),
    ],
}
"""Options of each command, and the same as parameters."""

PAGED = {"/suggestions", "/alerts"}
"""Endpoints that answer page by page, as commands do not: all is on the first here."""

COMMANDS = {
    "/projection": "project", "/suggestions": "suggest", "/billing": "billing reconcile",
}  # fmt: skip
"""Commands that are called otherwise than their path."""

CHANGING = {"/alerts/{number}/ack", "/alerts/mute", "/alerts/unmute"}
"""Endpoints that change what `alerts` lists, and then list it."""

OF_LIMITS = {
    "/limits/check", "/limits/repair", "/limits/add", "/limits/{number}/set",
    "/limits/{number}/remove",
}  # fmt: skip
"""Endpoints whose twins are commands below `limits` (tests/test_cli_limits.py)."""

OF_RUNS = {"/runs/{run}", "/runs/extend"}
"""Twins of `runs show` and `runs extend`: tests/test_cli_runs.py."""

OF_KEYS = {
    "/keys", "/keys/self", "/keys/{id}", "/keys/{id}/rotate", "/keys/{id}/revoke",
}  # fmt: skip
"""Endpoints that are for whoever has a key: tests/test_proxy_admin_keys.py has their twins."""

ALONE = {"/efficiency", "/calls", "/calls/{call_id}", *CHANGING, *OF_LIMITS, *OF_KEYS, *OF_RUNS}
"""Endpoints that are no command's twin, or are compared elsewhere."""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A proxy on a history that the command line reads too."""
    folder = tmp_path_factory.mktemp("twins")
    rows = [
        answered(
            number, ts=NOW - DAY * (number // 9) - 99, agent="ab"[number % 2], run=f"r{number % 9}"
        )
        for number in range(90)
    ]
    history(folder / "history.db", *rows)
    store = open_store(f"sqlite:///{folder / 'history.db'}")
    facts: dict[str, Any] = {"model": "gpt-5.4", "kind": "output", "imported": NOW}
    store.save_billed(
        [
            Billed("openai", "cost", BEFORE, amount=70_000_000, **facts),
            Billed("anthropic", "cost", BEFORE, amount=5_000_000, **facts),
            Billed("openai", "usage", BEFORE, tokens=1_200, requests=9, **facts),
        ]
    )
    store.close()
    with running(folder, Answer()) as proxy:
        assert proxy.engine.fitted()
        assert httpx.get(f"{proxy.url}/v1/budget/alerts").json()["waiting"] == 0
        yield proxy


def test_every_endpoint_is_a_twin_or_alone() -> None:
    """One that is added has its twin here, or says that it has none."""
    assert {one.path for one in ENDPOINTS} == set(TWINS) | ALONE


@pytest.mark.parametrize(
    ("path", "options", "params"),
    [(path, *pair) for path, pairs in TWINS.items() for pair in pairs],
)
def test_twins_say_the_same(
    proxied: Running,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    options: list[str],
    params: dict[str, Any],
) -> None:
    """To the last digit, at the same moment; a prediction's id is its own."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    url = proxied.engine.store.url
    said = run_json(*COMMANDS.get(path, path[1:]).split(), *options, "--store", url)
    body = {"description": TASK} if path == "/predict" else None
    method = "GET" if body is None else "POST"
    reply = httpx.request(method, f"{proxied.url}/v1/budget{path}", params=params, json=body)
    assert reply.status_code == 200, reply.text
    answered_ = reply.json()
    assert (said.pop("id", None) is None) == (answered_.pop("id", None) is None)
    if path in PAGED:
        assert answered_.pop("next") is None
    assert answered_ == said
