"""``budget-proxy backtest --runs``: how well whole runs would have been forecast.

A recording's sessions are its runs. Each call goes the way of a live one; its run is forecast
before it, from the calls before it alone. The scores are ``predict.runs.validation``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from budget_proxy.cli.backtest import features_of, watched
from budget_proxy.cli.scoreboard import Malformed, show_malformed

if TYPE_CHECKING:
    from rich.table import Table

    from budget_proxy.predict.runs import RunStep
    from budget_proxy.predict.runs.validation import RunSummary, StageScores
    from budget_proxy.store.recorded import RecordedCall

_EXPLAINED: Final = (
    "from call: calls seen, of runs that made more; within: totals in p10..p90 as the\n"
    "stage begins, every call: at each call of it; p90/p10: median, at first: that of\n"
    "the same runs before their first call; loss: pinball loss of ln(total); skill:\n"
    "1 - loss / loss of fixed quantiles by model, fitted on the first 60 % of runs\n"
)


def backtest_runs(file: Path, *, as_json: bool) -> None:
    """Forecast the runs of a recording before each of their calls, and print the scores."""
    from budget_proxy.cli.output import print_json
    from budget_proxy.predict.runs import RunForecaster
    from budget_proxy.predict.runs.validation import Tally, evaluate
    from budget_proxy.store.recorded import read_recorded

    malformed = Malformed()
    calls = watched(read_recorded(file, on_bad=malformed.add), file, quiet=as_json)
    tally = Tally()
    for scored in evaluate(run_steps(calls), RunForecaster(), perf_counter):
        tally.add(scored)
    summary = tally.summary()
    if as_json:
        print_json(_report(file, summary, malformed))
    else:
        _show(file, summary, malformed)


def run_steps(calls: Iterable[tuple[int, RecordedCall]]) -> Iterator[RunStep]:
    """The calls that belong to a run and whose output was counted, as steps of it.

    Input that was not counted is estimated, as a live call's would be.
    """
    from budget_proxy.predict.input_ratio import InputRatio
    from budget_proxy.predict.runs import RunStep
    from budget_proxy.predict.runs.loops import digest_of

    ratio = InputRatio()
    for index, call in calls:
        if call.session is None or call.output_tokens is None:
            continue
        features, chars = features_of(index, call, ratio)
        ratio.learn(features.model, chars, call.input_tokens)
        yield RunStep(
            run=call.session,
            agent=features.agent,
            model=features.model,
            input_tokens=features.input_tokens or 0,
            output_tokens=call.output_tokens,
            ts=call.ts,
            cost=call.cost_usd,
            task=call.task,
            digest=digest_of(features.signals),
        )


def _report(file: Path, summary: RunSummary, malformed: Malformed) -> dict[str, Any]:
    return {
        "file": str(file),
        "runs": summary.runs,
        "calls": summary.calls,
        "malformed": malformed.count,
        "reasons": [{"line": line, "reason": reason} for line, reason in malformed.first],
        "all": summary.all,
        "last_40_percent": summary.last,
        "alarms": summary.alarms,
        "seconds": summary.seconds,
    }


def _show(file: Path, summary: RunSummary, malformed: Malformed) -> None:
    from budget_proxy.cli.output import console, whole

    out = console()
    out.print(
        f"{file.name}: {whole(summary.runs)} runs forecast before each of "
        f"{whole(summary.calls)} calls",
        soft_wrap=True,
    )
    show_malformed(out, malformed)
    if not summary.all:
        out.print("Too few calls name their run (session) and output for anything to be scored.")
        return
    for title, stages in (("All runs", summary.all), ("Last 40 % of the runs", summary.last)):
        if stages:
            out.print()
            out.print(_totals(f"{title}: total tokens", stages))
            out.print(_others(f"{title}, within", stages))
    out.print(_EXPLAINED)
    raised = ", ".join(f"{kind} {count}" for kind, count in summary.alarms.items())
    out.print(f"runs that raised an alarm: {raised}; {1000 * summary.seconds:.3f} ms a call")


def _totals(title: str, stages: Sequence[StageScores]) -> Table:
    from budget_proxy.cli.output import NONE, percent, table, whole

    rows = [
        (
            str(stage.seen),
            whole(stage.runs),
            percent(stage.within, 1),
            percent(stage.within_calls, 1),
            f"{stage.width:.2f}",
            f"{stage.first_width:.2f}",
            f"{stage.loss:.3f}",
            NONE if stage.skill is None else f"{stage.skill:.3f}",
        )
        for stage in stages
    ]
    columns = ("from call", "runs", "within", "every call", "p90/p10", "at first", "loss", "skill")
    return table(title, columns, rows)


def _others(title: str, stages: Sequence[StageScores]) -> Table:
    from budget_proxy.cli.output import NONE, percent, table

    rows = [
        (
            str(stage.seen),
            percent(stage.output, 1),
            percent(stage.turns, 1),
            NONE if stage.cost is None else percent(stage.cost, 1),
        )
        for stage in stages
    ]
    return table(title, ("from call", "output tokens", "turns", "cost"), rows)
