"""Recordings put under stress: answers cut, lengths doubled, models renamed, agents new.

Rows are those of a recording, as dicts (docs/commands.md, `import`); none is changed in place.
Forecasts come from `budget-proxy backtest`, so that a whole call's way is under test.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from budget_proxy.cli.app import app
from budget_proxy.types import LEVELS

Row = dict[str, Any]
Floats = NDArray[np.float64]

GENEROUS = 0.10
"""Share of the calls that keep the cap they had when all others are cut."""

WORDS = (
    "explain", "list", "compare", "sum", "proof", "table", "code", "review", "fix", "story", "why",
    "how",
)  # fmt: skip


@cache
def recorded_rows(file: Path) -> tuple[Row, ...]:
    """All rows of a recording."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)


def made_up(count: int, *, seed: int = 7) -> list[Row]:
    """Calls of three agents to two models with forty prompts each, asked again and again.

    The logarithm of a length is a sum of one number for the agent, the model and the prompt,
    and of noise with a standard deviation of .4.
    """
    draw = np.random.default_rng(seed)
    prompts = draw.normal(0.0, 0.5, 120)
    rows = []
    for number in range(count):
        agent, model = int(draw.integers(3)), int(draw.integers(2))
        prompt = 40 * agent + int(draw.integers(40))
        centre = 5.0 + 0.7 * agent + 0.5 * model + prompts[prompt]
        text = f"{WORDS[prompt % 12]} {WORDS[prompt // 12]} the matter {prompt}, please"
        rows.append({
            "ts": 1.7e9 + number,
            "model": f"model-{model}",
            "agent": f"agent-{agent}",
            "messages": [{"role": "user", "content": text}],
            "input_tokens": 12,
            "output_tokens": max(round(math.exp(centre + draw.normal(0.0, 0.4))), 1),
            "max_tokens": 1_000_000,
        })  # fmt: skip
    return rows


def lengths(rows: Iterable[Row]) -> Floats:
    """Output tokens; NaN where there are none."""
    return np.array([row.get("output_tokens") or np.nan for row in rows])


def backtest(rows: Sequence[Row], folder: Path, *options: str) -> tuple[Floats, Any]:
    """The forecasts (a row of quantiles at LEVELS for each call), and the summary."""
    file, out = folder / "stressed.jsonl", folder / "forecasts.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    arguments = ["backtest", str(file), "--out", str(out), "--json", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    names = [f"q{100 * level:.0f}" for level in LEVELS]
    with out.open(encoding="utf-8") as lines:
        found = [[one[name] for name in names] for one in map(json.loads, lines)]
    assert len(found) == len(rows)
    return np.array(found), json.loads(result.stdout)


def cut(rows: Sequence[Row], *, told: bool = True) -> list[Row]:
    """Cap every answer at its model and agent's 90th percentile, but for a share of them.

    Without ``told`` the recording does not say that answers were cut: what a naive learner sees.
    """
    groups: dict[tuple[Any, Any], list[int]] = {}
    for row in rows:
        if row.get("output_tokens"):
            groups.setdefault((row.get("model"), row.get("agent")), []).append(row["output_tokens"])
    caps = {group: int(np.quantile(its, 0.90)) for group, its in groups.items()}
    result = []
    for place, row in enumerate(rows):
        cap = caps.get((row.get("model"), row.get("agent")))
        if cap is None or _drawn(place) < GENEROUS:
            result.append(row if told else {**row, "max_tokens": None, "finish_reason": "stop"})
        else:
            result.append(_capped(row, cap, told=told))
    return result


def doubled(rows: Sequence[Row], start: int) -> list[Row]:
    """From row ``start`` on every answer is twice as long, and so is its cap."""
    counts = ("output_tokens", "reasoning_tokens", "max_tokens")
    return [
        {**row, **{name: 2 * row[name] for name in counts if row.get(name)}}
        if place >= start
        else row
        for place, row in enumerate(rows)
    ]


def renamed(rows: Sequence[Row], start: int, model: str = "made-yesterday") -> list[Row]:
    """From row ``start`` on every call goes to a model that nobody has seen."""
    return [{**row, "model": model} if place >= start else row for place, row in enumerate(rows)]


def other_outcomes(rows: Sequence[Row], start: int) -> list[Row]:
    """From row ``start`` on everything that is known only after a call is something else."""
    after = {
        "output_tokens": 9000, "reasoning_tokens": 8000, "cached_tokens": 5,
        "finish_reason": "length", "cost_usd": 9.0, "quality": 0.0,
    }  # fmt: skip
    return [{**row, **after} if place >= start else row for place, row in enumerate(rows)]


def newcomer(rows: Sequence[Row], agent: str, *, history: int, calls: int) -> list[Row]:
    """The first ``calls`` rows of an agent, after the last ``history`` of all others."""
    own = [row for row in rows if row.get("agent") == agent][:calls]
    others = [row for row in rows if row.get("agent") != agent][-history:]
    return [{**row, "ts": 1.7e9 + place} for place, row in enumerate([*others, *own])]


def pinball(true: Floats, values: Floats) -> Floats:
    """Mean pinball loss in tokens at each of LEVELS."""
    levels = np.array(LEVELS)
    short = true[:, None] - values
    losses: Floats = np.maximum(levels * short, (levels - 1.0) * short).mean(axis=0)
    return losses


def coverage(true: Floats, values: Floats) -> dict[str, float]:
    """The share of answers no longer than the quantile, by the level's name."""
    known = np.isfinite(true)
    shares = (true[known, None] <= values[known]).mean(axis=0)
    names = (f"q{100 * level:.0f}" for level in LEVELS)
    return dict(zip(names, shares.tolist(), strict=True))


def _capped(row: Row, cap: int, *, told: bool) -> Row:
    was = row.get("output_tokens")
    known = {
        name: min(row[name], cap)
        for name in ("output_tokens", "reasoning_tokens")
        if row.get(name) is not None
    }
    if not told:
        return {**row, **known, "max_tokens": None, "finish_reason": "stop"}
    ended = "length" if was and was >= cap else row.get("finish_reason")
    return {**row, **known, "max_tokens": cap, "finish_reason": ended}


def _drawn(place: int) -> float:
    digest = blake2b(place.to_bytes(8, "little"), key=b"generous caps", digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64
