"""Running the command line in tests, on histories in files, as people run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from budget_proxy.cli.app import app
from budget_proxy.store import open_store
from budget_proxy.types import CallRecord
from tests.makers import NOW, record


def run(*arguments: str | Path) -> Result:
    """Run ``budget-proxy`` with these arguments; a fault of ours is raised, not caught."""
    result = CliRunner().invoke(app, [str(item) for item in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_json(*arguments: str | Path, exit_code: int = 0) -> Any:
    """What the command prints with ``--json``; nothing may stand on stderr."""
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (exit_code, "")
    return json.loads(result.stdout)


def history(path: Path, *records: CallRecord) -> str:
    """A history in a file with these rows; its URL."""
    url = f"sqlite:///{path}"
    store = open_store(url)
    store.append(records)
    store.close()
    return url


def rows(url: str) -> list[CallRecord]:
    """Every row of a history."""
    store = open_store(url)
    found = list(store.calls())
    store.close()
    return found


def answered(number: int, **given: Any) -> CallRecord:
    """The number-th of a row of answers by ``coder``: 100 to 139 tokens, budget 150."""
    facts: dict[str, Any] = {
        "ts": NOW + number, "call_id": f"c{number}", "agent": "coder", "task_type": "bug-fix",
        "output_tokens": 100 + number % 40, "recommended": 150, "confidence": 0.8,
        "strategy": "quantile", "mode": "enforce", "cost": 0.001,
        "q50": 120.0, "q75": 130.0, "q90": 136.0, "q95": 138.0, "q99": 140.0, **given,
    }  # fmt: skip
    return record(**facts)
