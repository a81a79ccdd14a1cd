"""``budget-proxy backtest``: how well a strategy would have predicted recorded calls.

Each row goes the way of a live call (wire, classify, predict) knowing only the rows before
it; what came back is shown to the strategy afterwards. The scores are ``predict.evaluate``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from budget_proxy.cli.options import AsJson
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from budget_proxy.predict.evaluate import Row, Scored, Scores, Summary
    from budget_proxy.store.recorded import RecordedCall
    from budget_proxy.types import Features

_FORM: Final = "openai.chat"  # recordings hold messages in this form
_EXAMPLES: Final = 20
_NO_ANSWER: Final = frozenset({"error", "cancelled"})
_EXPLAINED: Final = (
    "within: share of answers no longer than that; loss: pinball loss in tokens;\n"
    "skill: 1 - loss / loss of fixed quantiles by model, fitted on the first 60 %\n"
)
_T = TypeVar("_T")


@dataclass(slots=True)
class _Malformed:
    """Lines that could not be read; the first 20 with their reasons."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        self.count += 1
        if len(self.first) < _EXAMPLES:
            self.first.append((line, reason))


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
            help="auto, quantile, rolling, similarity, heuristic or fixed:N (N tokens a call).",
        ),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PREDICTIONS", help="Write one JSON line a row here."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict every recorded call from those before it, and score the forecasts."""
    from budget_proxy.cli.output import print_json
    from budget_proxy.predict.evaluate import Tally, evaluate
    from budget_proxy.predict.strategies import make
    from budget_proxy.store.recorded import read_recorded

    predictor = make(strategy)
    malformed = _Malformed()
    tally = Tally(predictor.name)
    calls = _watched(read_recorded(file, on_bad=malformed.add), file, quiet=as_json)
    with _writer(out, file) as lines:
        for scored in evaluate(_rows(calls), predictor, perf_counter):
            tally.add(scored)
            if lines is not None:
                lines.write(_line(scored))
    summary = tally.summary()
    if as_json:
        print_json(_report(file, summary, malformed))
    else:
        _show(file, summary, malformed)


def _rows(calls: Iterable[tuple[int, RecordedCall]]) -> Iterator[Row]:
    """What was known of each call before it was sent, and (apart from it) what came back."""
    from budget_proxy.predict.evaluate import Row
    from budget_proxy.predict.input_ratio import InputRatio

    ratio = InputRatio()
    for index, call in calls:
        start = perf_counter()
        features, chars = _features(index, call, ratio)
        seconds = perf_counter() - start
        answered = call.output_tokens and call.finish_reason not in _NO_ANSWER
        tokens = call.output_tokens if answered else None
        yield Row(index, features, tokens, call.truncated, str(index), seconds)
        ratio.learn(features.model, chars, call.input_tokens)


def _features(index: int, recorded: RecordedCall, ratio: Any) -> tuple[Features, int]:
    from budget_proxy.classify.characteristics import classify_call
    from budget_proxy.engine import DEFAULT_AGENT
    from budget_proxy.types import Features, Scope
    from budget_proxy.wire import DIALECTS, Context

    body: dict[str, Any] = {"model": recorded.model, "messages": list(recorded.messages)}
    if recorded.max_tokens is not None:
        body["max_tokens"] = recorded.max_tokens
    scope = Scope(agent=recorded.agent, session=recorded.session)
    call = DIALECTS[_FORM].read(body, Context(str(index), recorded.ts, scope=scope))
    kind = classify_call(call.messages, None, images=call.images, tools=call.tools)
    tokens = ratio.estimate(call.model, call.input_chars, call.images)
    agent = call.scope.agent or DEFAULT_AGENT
    features = Features(agent, call.model, kind.task_type, kind, call.now, tokens, call.ceiling)
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

    from budget_proxy.types import LEVELS

    forecast = scored.forecast
    values = {_name(level): round(forecast.quantile(level), 3) for level in LEVELS}
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


def _name(level: float) -> str:
    return f"q{100 * level:.0f}"


def _watched(rows: Iterable[_T], file: Path, *, quiet: bool) -> Iterable[_T]:
    """The rows, with a progress bar where someone watches."""
    from budget_proxy.cli.output import console

    out = console(stderr=True)
    if quiet or not out.is_terminal:
        return rows
    from rich.progress import track

    from budget_proxy.store.recorded import read_recorded

    total = sum(1 for _ in read_recorded(file, on_bad=lambda _line, _reason: None))
    return track(rows, "Backtesting", total=total, console=out, transient=True)


def _report(file: Path, summary: Summary, malformed: _Malformed) -> dict[str, Any]:
    return {
        "file": str(file),
        "strategy": summary.strategy,
        "rows": summary.rows,
        "malformed": malformed.count,
        "reasons": [{"line": line, "reason": reason} for line, reason in malformed.first],
        "all": _scores(summary.all),
        "last_40_percent": _scores(summary.last),
    }


def _scores(scores: Scores | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    from budget_proxy.types import LEVELS

    names = [_name(level) for level in LEVELS]
    return {
        name: dict(zip(names, value, strict=True)) if isinstance(value, tuple) else value
        for name, value in asdict(scores).items()
    }


def _show(file: Path, summary: Summary, malformed: _Malformed) -> None:
    from budget_proxy.cli.output import console, whole

    out = console()
    out.print(
        f"{file.name}, strategy {summary.strategy}: {whole(summary.rows)} rows predicted",
        soft_wrap=True,
    )
    if malformed.count:
        out.print(f"{whole(malformed.count)} rows left out, which could not be read:")
        for line, reason in malformed.first:
            out.print(f"  line {line}: {reason}", soft_wrap=True)
        if malformed.count > len(malformed.first):
            out.print(f"  and {whole(malformed.count - len(malformed.first))} more")
    if summary.all is None or summary.last is None:
        out.print("No row says how long its answer was, so there is nothing to score.")
        return
    out.print()
    out.print(_levels(summary.all, summary.last))
    out.print(_EXPLAINED)
    out.print(_budgets(summary.all, summary.last))


def _levels(all_: Scores, last: Scores) -> Table:
    from budget_proxy.cli.output import NONE, percent, table
    from budget_proxy.types import LEVELS

    rows = [
        (
            _name(level),
            percent(all_.coverage[at], 1),
            f"{all_.pinball[at]:,.1f}",
            percent(last.coverage[at], 1),
            f"{last.pinball[at]:,.1f}",
            NONE if last.skill is None else f"{last.skill[at]:.3f}",
        )
        for at, level in enumerate(LEVELS)
    ]
    columns = ("", "all: within", "loss", "last 40 %: within", "loss", "skill")
    return table("Quantiles", columns, rows)


def _budgets(all_: Scores, last: Scores) -> Table:
    from budget_proxy.cli.output import percent, table, whole

    def line(name: str, show: str, attribute: str) -> tuple[str, str, str]:
        values = [getattr(scores, attribute) for scores in (all_, last)]
        shown = [percent(value, 1) if show == "%" else f"{value:.3g}" for value in values]
        return name, shown[0], shown[1]

    rows = [
        ("calls scored", whole(all_.n), whole(last.n)),
        line("utilisation of recommended (mean)", "%", "utilisation"),
        line("accurate: 50-95 % used", "%", "accuracy"),
        line("  attainable, by the forecasts", "%", "attainable"),
        line("over-allocated: less used", "%", "over"),
        line("under-allocated: more used", "%", "under"),
        line("median error of q50", "%", "error"),
        line("sum of q95 / tokens used", "", "reserved"),
        ("ms a call", f"{1000 * all_.seconds:.3f}", f"{1000 * last.seconds:.3f}"),
    ]
    return table("Budgets", ("", "all rows", "last 40 %"), rows)
