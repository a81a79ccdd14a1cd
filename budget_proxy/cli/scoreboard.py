"""How a backtest's scores are shown: as JSON, and as tables for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from budget_proxy.predict.evaluate import Scores, Summary
    from budget_proxy.predict.promises import Decile, GroupCoverage

_EXAMPLES: Final = 20
_BRIEF: Final = 5
_ZERO: Final = re.compile(r"^(-?)0\.")
_EXPLAINED: Final = (
    "within: share of answers no longer than that; loss: pinball loss in tokens;\n"
    "skill: 1 - loss / loss of fixed quantiles by model, fitted on the first 60 %\n"
)
_COMPARED: Final = (
    "q50 to q99: skill; in: share of answers no longer than that; hold: sum of q95 /\n"
    "tokens used; shuffled: outcomes of other calls of the model, no skill is due\n"
)
_GROUPED: Final = (
    "* further from its level than 5 points or 2.5 standard deviations, whichever is more\n"
)


@dataclass(slots=True)
class Malformed:
    """Lines that could not be read; the first 20 with their reasons."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        """Count one line."""
        self.count += 1
        if len(self.first) < _EXAMPLES:
            self.first.append((line, reason))


def level_name(level: float) -> str:
    """``q95`` for .95."""
    return f"q{100 * level:.0f}"


def report(
    file: Path, chosen: Summary, others: Sequence[Summary], malformed: Malformed
) -> dict[str, Any]:
    """All of it, to be printed as JSON; ``comparison`` is there where there are others."""
    found = {
        "file": str(file),
        "strategy": chosen.strategy,
        "rows": chosen.rows,
        "malformed": malformed.count,
        "reasons": [{"line": line, "reason": reason} for line, reason in malformed.first],
        "all": _scores(chosen.all),
        "last_40_percent": _scores(chosen.last),
        "groups": [_group(group) for group in chosen.groups],
        "confidence_by_decile": chosen.confidence,
    }
    if others:
        found["comparison"] = [
            {"strategy": summary.strategy, "last_40_percent": _scores(summary.last)}
            for summary in (chosen, *others)
        ]
    return found


def show(
    file: Path,
    chosen: Summary,
    others: Sequence[Summary],
    malformed: Malformed,
    *,
    groups: bool,
) -> None:
    """Print the tables; those of groups and confidence where asked."""
    from budget_proxy.cli.output import console, whole

    out = console()
    out.print(
        f"{file.name}, strategy {chosen.strategy}: {whole(chosen.rows)} rows predicted",
        soft_wrap=True,
    )
    show_malformed(out, malformed)
    if chosen.all is None or chosen.last is None:
        out.print("No row says how long its answer was, so there is nothing to score.")
        return
    out.print()
    out.print(_levels(chosen.all, chosen.last))
    out.print(_EXPLAINED)
    out.print(_budgets(chosen.all, chosen.last))
    if others:
        out.print()
        out.print(_comparison((chosen, *others)))
        out.print(_COMPARED)
    if groups:
        out.print()
        out.print(_groups(chosen.groups))
        out.print(_GROUPED, soft_wrap=True)
        out.print(_confidence(chosen.confidence))


def show_malformed(out: Console, malformed: Malformed) -> None:
    """Print what was left out, if anything was."""
    from budget_proxy.cli.output import whole

    if not malformed.count:
        return
    out.print(f"{whole(malformed.count)} rows left out, which could not be read:")
    for line, reason in malformed.first:
        out.print(f"  line {line}: {reason}", soft_wrap=True)
    if malformed.count > len(malformed.first):
        out.print(f"  and {whole(malformed.count - len(malformed.first))} more")


def _scores(scores: Scores | None) -> dict[str, Any] | None:
    return None if scores is None else _by_level(asdict(scores))


def _group(group: GroupCoverage) -> dict[str, Any]:
    return _by_level({**asdict(group), "holds": group.holds})


def _by_level(values: dict[str, Any]) -> dict[str, Any]:
    """Name the members of whatever has one for each level."""
    from budget_proxy.types import LEVELS

    names = [level_name(level) for level in LEVELS]
    return {
        name: dict(zip(names, value, strict=True)) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def _levels(all_: Scores, last: Scores) -> Table:
    from budget_proxy.cli.output import NONE, percent, table
    from budget_proxy.types import LEVELS

    rows = [
        (
            level_name(level),
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


def _comparison(summaries: Iterable[Summary]) -> Table:
    from budget_proxy.cli.output import table
    from budget_proxy.types import LEVELS

    names = [level_name(level) for level in LEVELS]
    q50, q95 = names.index("q50"), names.index("q95")
    rows = [
        (
            summary.strategy,
            *map(_brief, scores.skill or [None] * len(LEVELS)),
            _brief(scores.coverage[q50]),
            _brief(scores.coverage[q95]),
            f"{scores.reserved:.2f}",
            f"{1000 * scores.seconds:.3f}",
        )
        for summary in summaries
        if (scores := summary.last) is not None
    ]
    columns = ("", *names, "in q50", "q95", "hold", "ms")
    return table("Compared on the last 40 %", columns, rows)


def _brief(value: float | None) -> str:
    """At most five characters where that can be, and no zero before the point: -.358, -3.41."""
    from budget_proxy.cli.output import NONE

    if value is None:
        return NONE
    texts = (_ZERO.sub(r"\1.", f"{value:.{digits}f}") for digits in (3, 2, 1))
    return next((text for text in texts if len(text) <= _BRIEF), f"{value:.0f}")


def _groups(groups: Iterable[GroupCoverage]) -> Table:
    from budget_proxy.cli.output import percent, table, whole
    from budget_proxy.types import LEVELS

    rows = [
        (
            group.name,
            group.by,
            whole(group.n),
            *(
                f"{percent(share, 1)}{' ' if held else '*'}"
                for share, held in zip(group.coverage, group.holds, strict=True)
            ),
        )
        for group in groups
    ]
    columns = ("at least 200 calls", "by", "calls", *(level_name(level) for level in LEVELS))
    return table("Within, by model and by agent, on the last 40 %", columns, rows, left=2)


def _confidence(parts: Iterable[Decile]) -> Table:
    from budget_proxy.cli.output import percent, table, whole

    rows = [
        (str(number), whole(part.n), percent(part.promised, 1), percent(part.held, 1))
        for number, part in enumerate(parts, 1)
    ]
    columns = ("decile", "calls", "promised", "held")
    return table("Confidence that 50-95 % of recommended is used, last 40 %", columns, rows)
