"""A made-up history: half a year of an organisation's calls, as the recorder would have written it.

Twelve agents of different size, with three kinds of task and two models each, come in
sessions; days have a rhythm; some answers are cut and sent
again, some fail, some have no known price. The same seed gives the same calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from random import Random

from budget_proxy.store.base import Store
from budget_proxy.types import CallRecord

DAYS = 180
BATCH = 2_000
AGENTS = {f"agent-{number}": 1 / (number + 1) for number in range(12)}
MODELS = ("gpt-5.4", "claude-sonnet-5", "gpt-5.4-mini", "claude-haiku-5")
TASKS = ("bug-fix", "review", "code-generation", "testing", "question")


def build(store: Store, count: int) -> None:
    """Append ``count`` rows and a few more, with a bar where someone watches."""
    from budget_proxy.cli.progress import Bar, progress_place

    with progress_place() as place:
        bar, batch, done = Bar(place, "A history of half a year", count), [], 0
        for row in _rows(count):
            batch.append(row)
            if len(batch) == BATCH:
                store.append(batch)
                done, batch = done + len(batch), []
                bar.show(done)
        store.append(batch)


def _rows(count: int) -> Iterator[CallRecord]:
    draw = Random(1)  # noqa: S311 (no secret)
    begin, written, session, left = time.time() - DAYS * 86_400, 0, "", 0
    agents, weights = [*AGENTS], [*AGENTS.values()]
    agent = arm = ""
    while written < count:
        if left == 0:
            session, left = f"{draw.getrandbits(128):032x}", 1 + int(draw.expovariate(1 / 19))
            agent = draw.choices(agents, weights)[0]
            arm = "holdout" if draw.random() < 0.1 else "treatment"
        left -= 1
        ts = begin + _when(written / count) * DAYS * 86_400
        attempts = _call(draw, ts, agent, session, arm)
        written += len(attempts)
        yield from attempts


def _when(share: float) -> float:
    """The time (as a share of the whole) of a call: most come at noon (UTC), few at midnight."""
    days = share * DAYS
    return (days - 0.8 * math.sin(2 * math.pi * days) / (2 * math.pi)) / DAYS


@cache
def _usual(agent: str) -> tuple[list[str], list[str]]:
    """The kinds of task that an agent has, and its usual and its other model."""
    number = int(agent.rpartition("-")[2])
    tasks = [TASKS[(number + step) % len(TASKS)] for step in range(3)]
    return tasks, [MODELS[(number + step) % len(MODELS)] for step in range(2)]


def _call(draw: Random, ts: float, agent: str, session: str, arm: str) -> list[CallRecord]:
    tasks, models = _usual(agent)
    task, model = draw.choice(tasks), draw.choices(models, (4, 1))[0]
    middle = 150 * (1 + len(agent + task) % 7) * (2 if "mini" not in model else 1)
    length = max(1, int(middle * draw.lognormvariate(0, 0.5)))
    cap = max(1024, int(middle * 3.2))
    cut, failed = length > cap, draw.random() < 0.01
    size, cached = draw.randint(500, 20_000), draw.choice([0, 0, 400, 4_000])
    row = CallRecord(
        ts=ts, api="openai.chat" if model.startswith("gpt") else "anthropic.messages",
        model=model, call_id=f"{draw.getrandbits(128):032x}", host="api.example.com", agent=agent,
        session=session, run=session[:12] if draw.random() < 0.3 else None, task_type=task,
        complexity=draw.uniform(10, 90), domains=("backend",), novelty=draw.random(),
        uncertainty=0.3, criticality=0.1, stream=draw.random() < 0.5, input_chars=4 * size,
        input_estimate=size, input_tokens=size + 9, output_tokens=min(length, cap),
        reasoning_tokens=0, cache_read_tokens=min(cached, size),
        finish_reason="error" if failed else "length" if cut else "stop",
        truncated=cut and not failed, cut_by_us=cut and not failed, status=500 if failed else 200,
        ceiling=cap, seconds=length * 0.02, q50=middle, q75=middle * 1.4, q90=middle * 1.9,
        q95=middle * 2.3, q99=middle * 3.2, target=int(middle * 1.13),
        recommended=int(middle * 1.4), reserve=int(middle * 2.3), cap=cap, mode="enforce", arm=arm,
        propensity=0.9, strategy="learned", confidence=0.52, support=3_000, guidance_tokens=0,
        cost=None if draw.random() < 0.01 else 2e-6 * size + 1e-5 * length, prices="2026-11-01",
        response_id=f"{draw.getrandbits(128):032x}", instance="0123456789ab",
        reason=f"enforce: 3000 outcomes of ({agent}, {task}, {model}); cap {cap}: caps = quota "
        f"at q99 {middle * 3.2:.0f}, floor 1024",
    )  # fmt: skip
    if not row.cut_by_us:
        return [row]
    again = replace(
        row, attempt=2, output_tokens=length, finish_reason="stop", truncated=False,
        cut_by_us=False, ceiling=32_000, cap=None,
    )  # fmt: skip
    return [row, again]
