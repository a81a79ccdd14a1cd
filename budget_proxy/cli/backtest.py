"""``budget-proxy backtest``: how well a strategy would have predicted recorded calls.

Each row goes the way of a live call (wire, classify, predict) knowing only the rows before
it; what came back is shown to the strategy afterwards. The scores are ``predict.evaluate``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from budget_proxy.cli.options import AsJson
from budget_proxy.errors import InvalidInput
from budget_proxy.types import NO_ANSWER

if TYPE_CHECKING:
    from budget_proxy.predict.comparison import Length
    from budget_proxy.predict.evaluate import Row, Scored, Tally
    from budget_proxy.store.recorded import RecordedCall
    from budget_proxy.types import Features

_FORM: Final = "openai.chat"  # recordings hold messages in this form
_SALT: Final = b"backtest"  # a fixed one, so that the same file gives the same forecasts
_T = TypeVar("_T")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="backtest")(backtest)


def backtest(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Recorded calls: .jsonl or .jsonl.gz.")
    ],
    *,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            metavar="NAME",
            help="auto, learned, quantile, rolling, similarity, heuristic or fixed:N (tokens).",
        ),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PREDICTIONS", help="Write one JSON line a row here."),
    ] = None,
    side_by_side: Annotated[
        bool,
        typer.Option("--compare", help="Beside every baseline, and beside shuffled outcomes."),
    ] = False,
    groups: Annotated[
        bool,
        typer.Option("--groups", help="Coverage by model and agent; confidence by decile."),
    ] = False,
    whole: Annotated[
        bool,
        typer.Option("--runs", help="Forecast whole runs (the recording's sessions) instead."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Predict every recorded call from those before it, and score the forecasts."""
    if whole:
        from budget_proxy.cli.backtest_runs import backtest_runs

        if strategy != "auto" or out is not None or side_by_side or groups:
            raise InvalidInput("--runs has one method and one table: only --json goes with it")
        backtest_runs(file, as_json=as_json)
        return
    from budget_proxy.cli.output import print_json
    from budget_proxy.cli.scoreboard import Malformed, report, show
    from budget_proxy.store.recorded import read_recorded

    malformed = Malformed()
    calls = watched(read_recorded(file, on_bad=malformed.add), file, quiet=as_json)
    tallies, runs = _runs(strategy, _rows(calls), file if side_by_side else None)
    with _writer(out, file) as lines:
        for scored in runs:
            for tally, one in zip(tallies, scored, strict=True):
                tally.add(one)
            if lines is not None:
                lines.write(_line(scored[0]))
    chosen, *others = [tally.summary() for tally in tallies]
    if as_json:
        print_json(report(file, chosen, others, malformed))
    else:
        show(file, chosen, others, malformed, groups=groups)


def _runs(
    strategy: str, rows: Iterable[Row], beside: Path | None
) -> tuple[list[Tally], Iterator[tuple[Scored, ...]]]:
    """The tallies, the chosen strategy's first, and for every row a forecast for each.

    With ``beside``, the file that the rows come from, the others are the baselines and the
    control.
    """
    from budget_proxy.predict.comparison import SHUFFLED, compare, shuffled
    from budget_proxy.predict.evaluate import Tally, evaluate
    from budget_proxy.predict.strategies import BASELINES, make

    chosen = make(strategy)
    if beside is None:
        runs = ((scored,) for scored in evaluate(rows, chosen, perf_counter))
        return [Tally(chosen.name)], runs
    predictors = [chosen, *(make(name) for name in BASELINES if name != chosen.name)]
    tallies = [*(Tally(predictor.name) for predictor in predictors), Tally(SHUFFLED)]
    lengths = shuffled(list(_lengths(beside)))
    return tallies, compare(rows, predictors, make(strategy), lengths, perf_counter)


def _lengths(file: Path) -> Iterator[Length]:
    """What came back of each row, read ahead for the control alone."""
    from budget_proxy.predict.comparison import Length
    from budget_proxy.store.recorded import read_recorded

    for _, call in read_recorded(file, on_bad=lambda _line, _reason: None):
        yield Length(call.model or "", _tokens(call), call.truncated, call.reasoning_tokens)


def _rows(calls: Iterable[tuple[int, RecordedCall]]) -> Iterator[Row]:
    """What was known of each call before it was sent, and (apart from it) what came back.

    Input tokens are known before: those that the recording counts, since it often holds but the
    end of a conversation, from whose characters a live call's would be estimated.
    """
    from budget_proxy.predict.evaluate import Row
    from budget_proxy.predict.input_ratio import InputRatio

    ratio = InputRatio()
    for index, call in calls:
        start = perf_counter()
        features, chars = features_of(index, call, ratio)
        seconds = perf_counter() - start
        yield Row(
            index=index,
            features=features,
            tokens=_tokens(call),
            censored=call.truncated,
            call_id=str(index),
            seconds=seconds,
            reasoning=call.reasoning_tokens,
            input_tokens=call.input_tokens,
        )
        ratio.learn(features.model, chars, call.input_tokens)


def _tokens(call: RecordedCall) -> int | None:
    """How long the answer was; ``None`` where there was none, or nobody knows."""
    return (call.output_tokens or None) if call.finish_reason not in NO_ANSWER else None


def features_of(index: int, recorded: RecordedCall, ratio: Any) -> tuple[Features, int]:
    """What was known of a recorded call before it was sent, and the characters of its input."""
    from budget_proxy.classify.characteristics import classify_call
    from budget_proxy.engine import DEFAULT_AGENT
    from budget_proxy.predict.signals import signals_of
    from budget_proxy.types import Features, Scope
    from budget_proxy.wire import DIALECTS, Context

    body: dict[str, Any] = {"model": recorded.model, "messages": list(recorded.messages)}
    if recorded.max_tokens is not None:
        body["max_tokens"] = recorded.max_tokens
    scope = Scope(agent=recorded.agent, session=recorded.session)
    call = DIALECTS[_FORM].read(body, Context(str(index), recorded.ts, scope=scope))
    kind = classify_call(call.messages, None, images=call.images, tools=call.tools)
    tokens = recorded.input_tokens
    if tokens is None:
        tokens = ratio.estimate(call.model, call.input_chars, call.images)
    agent = call.scope.agent or DEFAULT_AGENT
    features = Features(
        agent=agent,
        model=call.model,
        task_type=kind.task_type,
        characteristics=kind,
        now=call.now,
        input_tokens=tokens,
        ceiling=call.ceiling,
        session=recorded.session,
        task=recorded.task,
        signals=signals_of(call, kind, _SALT),
    )
    return features, call.input_chars


def _writer(out: Path | None, file: Path) -> AbstractContextManager[IO[bytes] | None]:
    if out is None:
        return nullcontext()
    if out.exists() and file.exists() and out.samefile(file):
        raise InvalidInput(f"--out {out} is the recording itself; give another file")
    try:
        return out.open("wb")
    except OSError as error:
        raise InvalidInput(f"--out {out} cannot be written: {error.strerror}") from None


def _line(scored: Scored) -> bytes:
    import orjson

    from budget_proxy.cli.scoreboard import level_name
    from budget_proxy.types import LEVELS

    forecast = scored.forecast
    values = {level_name(level): round(forecast.quantile(level), 3) for level in LEVELS}
    return orjson.dumps(
        {
            "i": scored.row.index,
            **values,
            "recommended": forecast.recommended,
            "strategy": forecast.strategy,
            "seconds": round(scored.seconds, 7),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def watched(rows: Iterable[_T], file: Path, *, quiet: bool) -> Iterable[_T]:
    """The rows, with a progress bar where someone watches."""
    from budget_proxy.cli.output import console

    out = console(stderr=True)
    if quiet or not out.is_terminal:
        return rows
    from rich.progress import track

    from budget_proxy.store.recorded import read_recorded

    total = sum(1 for _ in read_recorded(file, on_bad=lambda _line, _reason: None))
    return track(rows, "Backtesting", total=total, console=out, transient=True)
