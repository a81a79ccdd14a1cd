from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from budget_proxy.analytics.watch import GROUPS, Watch
from budget_proxy.store.alerts import seen
from budget_proxy.types import CallRecord
from tests.watched import GROUP, OUTPUT, calls, cut, numbered, raised, watched

AGENTS = [(f"agent-{i}", "review", "model-1") for i in range(6)]
OTHERS = [(f"agent-{i}", "review", "model-2") for i in range(6)]


def twice(row: CallRecord) -> CallRecord:
    """The call with an answer twice as long, at the same price a token."""
    tokens = row.output_tokens or 0
    return replace(row, output_tokens=2 * tokens, cost=(row.cost or 0) + OUTPUT * tokens)


def test_calls_as_forecast_raise_nothing() -> None:
    """Ten thousand calls whose lengths are as the forecasts say raise no alert."""
    assert watched(numbered(calls(10_000, groups=[*AGENTS, GROUP]))) == []


def test_answers_twice_as_long_are_one_alert_of_their_group() -> None:
    """Found within 60 calls, with the group and about the factor; what comes with it is folded."""
    rows = numbered(calls(800), calls(300, seed=1, factor=2.0))
    found = watched(rows)
    assert [(n.change, n.alert.cause, n.alert.scope) for _, n in found[:1]] == [
        ("raised", "longer", GROUP)
    ]
    assert found[0][0] <= 860
    assert [n.change for _, n in found if n.change == "raised"] == ["raised"]
    alert = found[-1][1].alert
    assert alert.figures["factor"] == pytest.approx(2.0, rel=0.15)
    assert alert.since == pytest.approx(rows[800].ts, abs=200)
    assert "longer" in alert.text


def test_answers_half_as_long_are_one_alert() -> None:
    """Shorter answers are a cause of their own, with a factor below one."""
    (cause, scope), *others = raised(numbered(calls(800), calls(200, seed=1, factor=0.5)))
    assert (cause, scope, others) == ("shorter", GROUP, [])


def test_a_group_whose_answers_change_is_named_among_others_that_do_not() -> None:
    """One of six agents of a model doubles: the alert is its own, not the model's."""
    before = calls(3_000, groups=AGENTS)
    after = [
        twice(row) if row.agent == "agent-3" else row for row in calls(1_200, groups=AGENTS, seed=1)
    ]
    assert raised(numbered(before, after)) == [("longer", AGENTS[3])]


def test_a_model_whose_answers_change_is_one_alert_however_many_agents_use_it() -> None:
    """All six agents of a model double, those of another do not: one alert, on the model."""
    before = calls(3_000, groups=[*AGENTS, *OTHERS])
    after = [
        twice(row) if row.model == "model-1" else row
        for row in calls(2_400, groups=[*AGENTS, *OTHERS], seed=1)
    ]
    assert raised(numbered(before, after)) == [("longer", (None, None, "model-1"))]


def test_an_agent_whose_answers_change_is_one_alert_over_its_models() -> None:
    """An agent doubles on both of its models: one alert, on the agent."""
    before = calls(3_000, groups=[*AGENTS, *OTHERS])
    after = [
        twice(row) if row.agent == "agent-0" else row
        for row in calls(4_800, groups=[*AGENTS, *OTHERS], seed=1)
    ]
    assert raised(numbered(before, after)) == [("longer", ("agent-0", None, None))]


def test_a_change_that_forecasts_follow_at_once_is_found_by_the_level() -> None:
    """Twenty calls after lengths doubled forecasts fit again: the alert comes all the same."""

    def followed() -> Iterator[CallRecord]:
        for number, row in enumerate(calls(260, seed=1, factor=2.0)):
            scale = 1.6 if number >= 10 else 1.0
            scale = 2.0 if number >= 20 else scale
            q50, q90, q95 = (scale * (value or 0.0) for value in (row.q50, row.q90, row.q95))
            yield replace(row, q50=q50, q90=q90, q95=q95, recommended=round(scale * 580))

    assert raised(numbered(calls(800), followed())) == [("longer", GROUP)]


def test_another_mix_of_tasks_that_forecasts_know_of_is_no_alert() -> None:
    """Answers are three times as long and forecasts said so: nothing has happened."""
    other = (
        replace(row, q50=1200.0, q90=3 * (row.q90 or 0), q95=3 * (row.q95 or 0), recommended=1740)
        for row in calls(600, seed=1, factor=3.0, cost=None, api="task")
    )
    assert raised(numbered(calls(800, cost=None, api="task"), other)) == []


def test_a_price_that_triples_is_one_alert_of_the_model() -> None:
    """Tokens cost three times as much: found within 20 calls, and no cost spike beside it."""
    dear = [replace(row, cost=3 * (row.cost or 0)) for row in calls(300, seed=1, groups=AGENTS)]
    rows = numbered(calls(800, groups=AGENTS), dear)
    found = watched(rows)
    assert [(n.change, n.alert.cause, n.alert.scope) for _, n in found] == [
        ("raised", "price", (None, None, "model-1"))
    ]
    row, notice = found[0]
    assert row <= 820
    assert notice.alert.figures["factor"] == pytest.approx(3.0, rel=0.05)
    assert notice.alert.severity == "critical"


def test_an_open_alert_goes_on_telling_what_it_was_raised_for() -> None:
    """A thousand calls later what is usual has followed: not that the price rose 1.3 times."""
    dear = (replace(row, cost=3 * (row.cost or 0)) for row in calls(1_500, seed=1))
    for after, cause, factor in (
        (dear, "price", 3.0),
        (calls(1_500, seed=1, factor=2.0), "longer", 2.0),
        (calls(1_500, seed=1, factor=0.5), "shorter", 0.5),
    ):
        watch = Watch()
        latest = {}
        for row in numbered(calls(800), after):
            for notice in watch.learn_one(seen(row)):
                latest[notice.alert.cause] = notice.alert
        assert latest[cause].figures["factor"] == pytest.approx(factor, rel=0.2)
        assert {"price": "costs", "longer": "longer", "shorter": "shorter"}[cause] in latest[
            cause
        ].text


def test_longer_answers_at_the_same_price_are_no_price_alert() -> None:
    """What longer answers cost more is not put down to the price."""
    causes = [cause for cause, _ in raised(numbered(calls(800), calls(300, seed=1, factor=2.0)))]
    assert "price" not in causes


@pytest.mark.parametrize("ours", [False, True])
def test_caps_that_cut_a_tenth_are_one_alert(*, ours: bool) -> None:
    """Found within 150 calls; the text says whose caps they are."""
    rows = numbered(calls(800), cut(calls(300, seed=1), 0.10, ours=ours))
    found = watched(rows)
    assert [(n.change, n.alert.cause, n.alert.scope) for _, n in found] == [
        ("raised", "truncation", GROUP)
    ]
    row, notice = found[0]
    assert row <= 950
    assert 0.05 < notice.alert.figures["share"] < 0.25
    assert ("by our own cap" in notice.alert.text) is ours


def test_forecasts_that_do_not_hold_are_an_alert() -> None:
    """A spread twice as wide as forecast, around the same median, is a matter of coverage."""
    rows = numbered(calls(800), calls(400, seed=1, spread=1.0, cost=None, api="task"))
    ((cause, scope),) = raised(rows)
    assert (cause, scope) == ("coverage", GROUP)


@pytest.mark.parametrize(
    ("share", "cause"), [(0.30, "over-allocation"), (1.30, "under-allocation")]
)
def test_budgets_that_do_not_fit_are_an_alert_beside_what_was_attainable(
    share: float, cause: str
) -> None:
    """Fifty calls are asked for; the alert has realised and attainable accuracy."""
    rows = numbered(
        replace(row, output_tokens=round(580 * share), q50=None, q90=None, q95=None)
        for row in calls(120, cost=None, api="task")
    )
    found = watched(rows)
    assert [(n.change, n.alert.cause) for _, n in found] == [("raised", cause)]
    assert found[0][0] == 50
    figures = found[0][1].alert.figures
    assert (figures["accuracy"], figures["attainable"]) == (0.0, pytest.approx(0.479))


def test_budgets_that_fit_as_well_as_was_promised_are_no_alert() -> None:
    """Under half of the budgets fit: that is what the forecast's spread allows."""
    rows = numbered(calls(3_000, seed=3))
    fits = [0.5 <= (row.output_tokens or 0) / 580 <= 0.95 for row in rows]
    assert sum(fits) / len(fits) < 0.5
    assert raised(rows) == []


def test_inefficient_budgets_are_an_alert() -> None:
    """Uses of 52 % fit, but efficiency is .6 at best: 2.5 points below take some 200 calls."""
    rows = numbered(
        replace(
            row, output_tokens=round(580 * (0.52 if i % 4 else 0.97)), q50=None, q90=None, q95=None,
            confidence=0.75,
        )
        for i, row in enumerate(calls(220, cost=None, api="task"))
    )  # fmt: skip
    assert raised(rows) == [("efficiency-drop", GROUP)]


def test_calls_that_cost_far_more_without_another_cause_are_a_cost_spike() -> None:
    """Ten times the input at the same price: neither lengths nor prices have changed."""
    after = [
        replace(
            row,
            input_tokens=50 * (row.input_tokens or 0),
            cost=(row.cost or 0) + 2e-6 * 49 * (row.input_tokens or 0),
        )
        for row in calls(200, seed=1)
    ]
    ((cause, scope),) = raised(numbered(calls(800), after))
    assert (cause, scope) == ("cost-spike", GROUP)


def test_models_without_a_price_are_one_alert_together() -> None:
    """A second model joins the first one's alert; once both have prices it is over."""
    first = calls(25, cost=None)
    second = calls(25, cost=None, groups=[("coder", "bug-fix", "model-9")])
    watch = Watch()
    rows = numbered(first, second, calls(25), calls(25, groups=[("coder", "bug-fix", "model-9")]))
    watched(rows[:50], watch)
    (alert,) = watch.cases.alerts
    assert (alert.cause, alert.figures["models"]) == ("unpriced", ["model-1", "model-9"])
    found = watched(rows[50:], watch)
    assert [n.change for _, n in found] == ["resolved"]


def test_usage_that_providers_do_not_report_is_an_alert() -> None:
    """Half of the attempts are estimates: that is more than streams that broke off."""
    rows = numbered(
        calls(200), (replace(row, exact=i % 2 == 0) for i, row in enumerate(calls(100, seed=1)))
    )
    ((cause, scope),) = raised(rows)
    assert (cause, scope) == ("estimated", GROUP)


def test_resent_answers_are_no_second_length() -> None:
    """The answer to a resend is another draw: it is not measured."""
    rows = []
    for number, row in enumerate(calls(600)):
        if number % 50:
            rows.append(row)
            continue
        rows.append(replace(row, truncated=True, cut_by_us=True, output_tokens=700))
        rows.append(replace(row, attempt=2, output_tokens=7_000))
    watch = Watch()
    watched(numbered(rows), watch)
    assert watch._subjects[GROUP].late.measured == 600


def test_a_resolved_alert_needs_many_quiet_calls() -> None:
    """Cuts stop: the alert goes on for a hundred calls without a sign, and then is over."""
    rows = numbered(calls(800), cut(calls(200, seed=1), 0.10), calls(400, seed=2))
    found = watched(rows)
    assert [n.change for _, n in found] == ["raised", "resolved"]
    last = max(row.id or 0 for row in rows if row.truncated)
    assert last + 100 <= found[1][0] <= last + 200


def test_a_change_of_lengths_is_over_after_a_quiet_day() -> None:
    """New lengths become usual: no second alert, and the first is over after a day."""
    after = [
        replace(row, q50=800.0, q90=2 * (row.q90 or 0), q95=2 * (row.q95 or 0), recommended=1160)
        for row in calls(3_000, seed=2, factor=2.0)
    ]
    rows = numbered(calls(800), calls(40, seed=1, factor=2.0), after, seconds=60.0)
    found = watched(rows)
    assert [n.change for _, n in found] == ["raised", "resolved"]
    assert found[1][1].alert.resolved is not None
    assert found[1][1].alert.resolved >= found[0][1].alert.opened + 86_400


def test_pending_rows_and_rows_seen_before_tell_nothing() -> None:
    """A row is taken in once, and not before its answer is known."""
    watch = Watch()
    rows = numbered(calls(30))
    watched(rows, watch)
    before = watch._subjects[GROUP].calls
    watched(rows, watch)
    watched([replace(rows[0], id=99, pending=True)], watch)
    assert watch._subjects[GROUP].calls == before == 30


def test_a_watch_that_was_saved_and_loaded_goes_on_the_same() -> None:
    """Saved and loaded at any rows, it ends with the same alerts and the same state."""
    rows = numbered(
        calls(700, groups=AGENTS),
        cut(calls(600, seed=1, groups=AGENTS), 0.1),
        calls(400, seed=2, factor=2.0),
    )
    whole = Watch()
    expected = watched(rows, whole)
    assert {notice.alert.cause for _, notice in expected} >= {"truncation"}
    parts: dict[str, str] = {}
    watch, found = Watch(), []
    places = [7, 300, 301, 555, 801, 950, 1_100, 1_299, 1_333, 1_402, 1_500, 1_690]
    for start, end in zip([0, *places], [*places, len(rows)], strict=True):
        found += watched(rows[start:end], watch)
        for name, state in watch.changed().items():
            parts.pop(name, None)
            if state is not None:
                parts[name] = state
        watch = Watch.load(watch.row, parts, watch.cases.alerts)
        for row in rows[max(end - 2_000, 0) : end]:
            watch.remember(seen(row))
    assert found == expected
    assert {**parts, **watch.changed()} == {**parts, **whole.changed()}


def test_groups_beyond_the_most_are_let_go_and_counted() -> None:
    """What was seen longest ago is let go; the saved parts go with it."""
    groups = [(f"a{i}", "review", f"m{i}") for i in range(GROUPS + 20)]
    watch = Watch()
    watched(numbered(calls(len(groups), groups=groups)), watch)
    assert watch.unwatched == 60
    changed = watch.changed()
    assert sum(state is None for state in changed.values()) == 60
    assert len(changed) - 60 - 1 == 3 * GROUPS


def test_alarms_of_runs_are_one_alert_of_an_agent_and_kind() -> None:
    """It names the runs, and is over a day after the last of them."""
    alarmed = [
        replace(next(calls(1)), alarms=alarms)
        for alarms in (("loop t-1",), ("loop t-2", "runaway t-2"), ("shout t-3",))
    ]
    rows = numbered(alarmed, calls(1))
    rows[-1] = replace(rows[-1], ts=rows[-2].ts + 86_400 + 60)
    found = watched(rows)
    assert [(row, n.change, n.alert.cause) for row, n in found] == [
        (1, "raised", "loop"), (2, "raised", "runaway"),
        (4, "resolved", "loop"), (4, "resolved", "runaway"),
    ]  # fmt: skip
    loop = found[2][1].alert
    assert (loop.agent, loop.figures["runs"], loop.rows) == ("coder", ["t-1", "t-2"], 2)
    assert "budget-proxy runs show t-2" in loop.text
