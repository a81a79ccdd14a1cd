from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from budget_proxy.cli import demo
from budget_proxy.cli.demo_traffic import AGENTS, SURPRISES, doors
from tests.makers import record
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

ROWS = [
    *[record(agent="facts", tags=("warm-up",), output_tokens=10) for _ in range(22)],
    record(agent="facts", tags=("budgeted",), call_id="a", output_tokens=12, q50=10.0,
           recommended=15, cap=64, reserve=30, confidence=0.6),
    record(agent="facts", tags=("budgeted",), call_id="b", output_tokens=6, q50=10.0,
           recommended=15, cap=64, reserve=30, confidence=0.6),
    record(agent="facts", tags=("surprise",), call_id="c", output_tokens=64, q50=10.0,
           recommended=15, cap=64, reserve=30, truncated=True),
    record(agent="facts", tags=("surprise",), call_id="c", output_tokens=500, q50=10.0,
           recommended=15, attempt=2, reserve=30),
]  # fmt: skip


def test_a_groups_figures_are_counted_from_the_history() -> None:
    """12 of 15 is in band, 6 of 15 is not: one half; caps 64, 64, 64 and none."""
    summary = demo._summary("facts", ROWS, [row for row in ROWS if "warm-up" not in row.tags])
    assert (summary.learned_from, summary.calls) == (22, 3)
    assert summary.in_band == 0.5
    assert summary.attainable == pytest.approx(0.6)
    assert (summary.cap, summary.predicted) == (64.0, 10.0)
    assert (summary.truncated, summary.resent) == (1, 1)


@pytest.mark.parametrize(
    ("used", "verdict"),
    [(49, "over"), (50, "in band"), (95, "in band"), (96, "under")],
)
def test_verdicts_follow_the_missions_band(used: int, verdict: str) -> None:
    """50 to 95 % of the recommended 100."""
    assert demo._verdict(record(output_tokens=used, recommended=100)) == verdict


def test_the_tables_fit_a_terminal_and_show_the_resend() -> None:
    """At 80 columns nothing is cut short, the widest names and numbers included."""
    text = io.StringIO()
    wide = record(
        agent="explainer", api="openai.responses", stream=True, tags=("budgeted",), attempt=2,
        call_id="w", q50=1234.0, recommended=1500, cap=1700, output_tokens=1600, confidence=1.0,
    )  # fmt: skip
    demo._show(
        Console(file=text, width=80),
        [*ROWS, wide, replace(wide, attempt=1)],
        "sqlite:////tmp/h.db",
        as_json=False,
    )
    shown = text.getvalue()
    assert "cut" in shown
    assert "sent again" in shown
    assert "…" not in shown
    assert "budget-proxy report --store sqlite:////tmp/h.db" in shown
    assert "responses, streamed" in shown


def test_an_agent_without_calls_shows_dashes() -> None:
    """Nothing is invented for it."""
    summary = demo._summary("coder", ROWS, ROWS)
    assert summary.predicted is None
    assert demo._share(summary.in_band) == "-"


def test_prompts_of_warm_up_and_budgeted_phase_do_not_overlap() -> None:
    """26 warm-up prompts and one for each of the six doors, all different."""
    for agent in AGENTS:
        assert len(set(agent.prompts)) == len(agent.prompts) >= 26 + 6
    assert not set(SURPRISES) & set(AGENTS[0].prompts)


def test_the_six_doors_call_three_apis_plain_and_streamed() -> None:
    """With the agent's headers, through the real SDKs."""
    provider = ScriptedProvider(answer=Answer(output_tokens=5))
    with provider.serve() as url, doors(url) as ways:
        assert [way.send("Hi", {"x-budget-agent": "facts"}) for way in ways] == [1] * 6
    seen = [(request.path, request.body["stream"]) for request in provider.requests]
    assert len(set(seen)) == 6
    assert {request.headers["x-budget-agent"] for request in provider.requests} == {"facts"}
