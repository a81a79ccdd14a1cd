"""Runs: what they have used, what they will come to, and more for one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.runs import LONGEST_REASON, LONGEST_RUN
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import Question
from budget_proxy.proxy.admin.refusal import NOT_FOUND, Refusal
from budget_proxy.runs import RunList, RunStatus
from budget_proxy.scope import MOST_TOKENS

RunName = Annotated[str, Field(min_length=1, max_length=LONGEST_RUN)]


class AskedRuns(Question):
    """What ``/runs`` is asked."""

    limit: int = Field(20, ge=1, le=1_000, description="So many runs, each with its parts.")
    after: str | None = Field(
        None, max_length=300, description="The `next` of the page before: the page after it."
    )


class AskedRun(Question):
    """What ``/runs/{run}`` is asked."""

    run: RunName = Field(description="The run's name; slashes may stand as they are.")


class Extending(Question):
    """More for a run: tokens, US dollars or both, and why."""

    run: RunName
    tokens: int = Field(0, ge=0, le=MOST_TOKENS, strict=True)
    usd: float = Field(0.0, ge=0, le=1_000_000, strict=True)
    reason: str = Field(min_length=1, max_length=LONGEST_REASON)


class AskedExtension(Question):
    """What ``/runs/extend`` is asked."""

    extension: Extending


def runs(engine: Engine, asked: AskedRuns) -> RunList:
    """Runs, those called last first, as `budget-proxy runs --json`."""
    return engine.runs.page(asked.after, asked.limit)


def run(engine: Engine, asked: AskedRun) -> RunStatus:
    """One run: its budget, forecast, hard stops, extensions and alarms."""
    try:
        return engine.run_status(asked.run)
    except InvalidInput as error:
        raise Refusal(404, str(error), type_=NOT_FOUND, param="run") from error


def extend(engine: Engine, asked: AskedExtension) -> RunStatus:
    """Give a run more, with a reason, and raise its hard stops."""
    more = asked.extension
    engine.run_status(more.run)  # a name that is mistyped extends nothing
    engine.extend_run(more.run, tokens=more.tokens, usd=more.usd, reason=more.reason, who="http")
    return engine.run_status(more.run)


ENDPOINTS = (
    Endpoint("GET", "/runs", AskedRuns, RunList, runs),
    Endpoint("POST", "/runs/extend", AskedExtension, RunStatus, extend, "extension"),
    Endpoint("GET", "/runs/{run}", AskedRun, RunStatus, run, slashes=True),
)
