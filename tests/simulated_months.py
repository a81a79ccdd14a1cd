"""A month of made-up calls, as our rows have them and as providers' exports bill them; and faults.

The truth is a list of calls. Rows are made of it as the engine would, priced by our table; exports
are made of it in the providers' own formats, priced by the same table, unless a fault is seeded.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from budget_proxy.store.billed import Billed
from budget_proxy.store.bills import chosen
from budget_proxy.store.bills.reading import rows_of
from budget_proxy.store.source import Source
from budget_proxy.types import CallRecord
from budget_proxy.wire.prices import LISTED

DAY: Final = 86_400
START: Final = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
DAYS: Final = 31
FIRST, LAST = "2026-10-01", "2026-10-31"
HOSTS: Final = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}
MODELS: Final = {
    "gpt-5-mini": ("openai.responses", "gpt-5-mini-2025-08-07"),
    "gpt-5.4": ("openai.chat", "gpt-5.4-2026-03-05"),
    "claude-haiku-4-5": ("anthropic.messages", "claude-haiku-4-5-20251001"),
    "claude-sonnet-4-5": ("anthropic.messages", "claude-sonnet-4-5-20250929"),
}
"""Names that callers use, the API they call, and the snapshots on the bill."""


@dataclass(frozen=True)
class Real:
    """What really happened: one call, its tokens apart, and how it was seen."""

    number: int
    ts: float
    api: str
    model: str
    billed_as: str
    agent: str
    fresh: int
    cached: int
    written: int
    output: int
    seconds: float = 3.0
    stream: bool = False
    broken: bool = False  # a stream that ended early: we estimate what it used
    failed: bool = False  # an error: nobody bills it

    @property
    def provider(self) -> str:
        """Who bills it."""
        return self.api.partition(".")[0]

    @property
    def day(self) -> str:
        """The day (UTC) on which it began."""
        return day_of(self.ts)


def day_of(ts: float) -> str:
    """The day of a time."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d")


def month(seed: int = 0, a_day: int = 60) -> list[Real]:
    """So many calls on each day of October 2026, by three agents, more by day than by night."""
    random = Random(seed)  # noqa: S311 (no secret)
    calls = []
    for number in range(DAYS * a_day):
        model = random.choice([*MODELS])
        api, snapshot = MODELS[model]
        prompt = round(random.lognormvariate(7.5, 0.8))
        cached = round(prompt * random.choice([0, 0, 0.5, 0.8]))
        written = round((prompt - cached) * 0.4) if api.startswith("anthropic") else 0
        hour = random.choice([random.triangular(0, 24, 14), random.uniform(0, 24)])
        calls.append(
            Real(
                number=number,
                ts=round(START + DAY * (number // a_day) + 3_600 * hour % DAY, 3),
                api=api,
                model=model,
                billed_as=snapshot,
                agent=random.choice(["coder", "reviewer", "writer"]),
                fresh=prompt - cached - written,
                cached=cached,
                written=written,
                output=round(random.lognormvariate(6, 0.9)) + 1,
                stream=random.random() < 0.3,
                broken=random.random() < 0.05,
                failed=random.random() < 0.03,
            )
        )
    return calls


def row(call: Real, *, off: float = 1.0) -> CallRecord:
    """Our row of a call; what a broken stream used is estimated, ``off`` times the truth."""
    exact = not call.broken or call.failed
    output = call.output if exact else round(call.output * off)
    given = call.fresh + call.cached + call.written
    return costing(
        CallRecord(
            ts=call.ts, api=call.api, model=call.model, call_id=f"c{call.number}",
            host=HOSTS[call.provider], agent=call.agent, stream=call.stream,
            input_tokens=0 if call.failed else given,
            output_tokens=0 if call.failed else output,
            cache_read_tokens=None if call.failed else call.cached,
            cache_write_tokens=None if call.failed or not call.written else call.written,
            exact=exact, finish_reason="error" if call.failed else "stop",
            status=500 if call.failed else 200, seconds=call.seconds,
        )
    )  # fmt: skip


def costing(own: CallRecord) -> CallRecord:
    """The row with its cost by our table."""
    listed = _listed(own.api, own.model)
    cached, written = own.cache_read_tokens or 0, own.cache_write_tokens or 0
    dollars = (
        ((own.input_tokens or 0) - cached - written) * listed["input"]
        + cached * listed["cache_read"] + written * listed["cache_write"]
        + (own.output_tokens or 0) * listed["output"]
    )  # fmt: skip
    return replace(own, cost=float(dollars), prices="table")


Price = Callable[[Real, str], Decimal]
"""Dollars of one token of a kind, as a bill has it."""


def listed(call: Real, kind: str) -> Decimal:
    """The table's price."""
    return _listed(call.api, call.model)[kind]


@cache
def _listed(api: str, model: str) -> dict[str, Decimal]:
    found = LISTED.rates(api, model, "", None, START)
    assert found == LISTED.rates(
        api, model, "", None, START + DAYS * DAY
    )  # no price of ours changes
    assert found is not None
    return {
        "input": found.fresh, "cache_read": found.cached, "cache_write": found.written,
        "output": found.plain,
    }  # fmt: skip


@dataclass
class Exports:
    """What a month's providers say: tokens, requests and amounts by day, model and kind."""

    tokens: dict[tuple[str, str, str], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    amounts: dict[tuple[str, str, str], dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )
    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def write(self, folder: Path) -> list[Path]:
        """As files of the four formats."""
        pages = {
            "openai-costs.json": _openai(self, costs=True),
            "openai-usage.json": _openai(self, costs=False),
            "anthropic-costs.json": _anthropic(self, costs=True),
            "anthropic-usage.json": _anthropic(self, costs=False),
        }
        for name, page in pages.items():
            (folder / name).write_text(json.dumps(page))
        return [folder / name for name in pages]


def exports(
    calls: Iterable[Real],
    *,
    price: Price = listed,
    filed: Callable[[Real], str] = lambda call: call.day,
) -> Exports:
    """What providers bill of calls; ``filed`` says under which day."""
    made = Exports()
    for call in calls:
        if call.failed:
            continue
        place = (call.provider, filed(call), call.billed_as)
        made.requests[place] += 1
        kinds = {
            "input": call.fresh, "cache_read": call.cached, "cache_write": call.written,
            "output": call.output,
        }  # fmt: skip
        for kind, tokens in kinds.items():
            if tokens or kind != "cache_write" or call.provider == "anthropic":
                made.tokens[place][kind] += tokens
                made.amounts[place][kind] += tokens * price(call, kind)
    return made


_LINE_ITEMS: Final = {
    "input": "input", "cache_read": "cached input", "cache_write": "cache writes",
    "output": "output",
}  # fmt: skip
_TOKEN_TYPES: Final = {
    "input": "uncached_input_tokens", "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation.ephemeral_5m_input_tokens", "output": "output_tokens",
}  # fmt: skip


def _days(made: Exports, provider: str) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for whose, day, model in sorted(made.tokens):
        if whose == provider:
            found[day].append(model)
    return found


def _openai(made: Exports, *, costs: bool) -> Any:
    """As ``/v1/organization/costs`` and ``/v1/organization/usage/completions`` answer."""
    buckets = []
    for day, models in _days(made, "openai").items():
        start = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp())
        results: list[Any] = []
        for model in models:
            place = ("openai", day, model)
            if costs:
                results += [
                    {
                        "object": "organization.costs.result",
                        "amount": {"value": str(amount), "currency": "usd"},
                        "line_item": f"{model}, {_LINE_ITEMS[kind]}", "project_id": "proj_1",
                    }
                    for kind, amount in made.amounts[place].items()
                ]  # fmt: skip
            else:
                tokens = made.tokens[place]
                results.append(
                    {
                        "object": "organization.usage.completions.result",
                        "input_tokens": tokens.total() - tokens["output"],
                        "input_cached_tokens": tokens["cache_read"],
                        "output_tokens": tokens["output"], "model": model, "batch": False,
                        "num_model_requests": made.requests[place], "project_id": "proj_1",
                    }
                )  # fmt: skip
        buckets.append(
            {"object": "bucket", "start_time": start, "end_time": start + DAY, "results": results}
        )
    return {"object": "page", "data": buckets, "has_more": False, "next_page": None}


def _anthropic(made: Exports, *, costs: bool) -> Any:
    """As ``cost_report`` and ``usage_report/messages`` answer."""
    buckets = []
    for day, models in _days(made, "anthropic").items():
        results: list[Any] = []
        for model in models:
            place = ("anthropic", day, model)
            if costs:
                results += [
                    {
                        "amount": str(amount * 100), "currency": "USD", "cost_type": "tokens",
                        "model": model, "token_type": _TOKEN_TYPES[kind],
                        "service_tier": "standard", "context_window": "0-200k",
                        "description": f"{model} / {kind}", "workspace_id": None,
                    }
                    for kind, amount in made.amounts[place].items()
                ]  # fmt: skip
            else:
                tokens = made.tokens[place]
                results.append(
                    {
                        "uncached_input_tokens": tokens["input"],
                        "cache_creation": {
                            "ephemeral_1h_input_tokens": 0,
                            "ephemeral_5m_input_tokens": tokens["cache_write"],
                        },
                        "cache_read_input_tokens": tokens["cache_read"],
                        "output_tokens": tokens["output"], "model": model,
                        "service_tier": "standard", "workspace_id": None,
                    }
                )  # fmt: skip
        following = day_of(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() + DAY)
        buckets.append(
            {
                "starting_at": f"{day}T00:00:00Z", "ending_at": f"{following}T00:00:00Z",
                "results": results,
            }
        )  # fmt: skip
    return {"data": buckets, "has_more": False, "next_page": None}


def lines_of(files: Sequence[Path]) -> list[Billed]:
    """What the readers make of files; nothing may be left out."""
    found: list[Billed] = []
    for file in files:
        source = Source(file)
        reader = chosen("auto", source)
        for _, one in rows_of(source, _refuse):
            found += (replace(line, digest=file.name, file=file.name) for line in reader.lines(one))
    return found


def _refuse(number: int, reason: str) -> None:
    raise AssertionError(f"{number}: {reason}")
