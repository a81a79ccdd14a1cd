"""Regenerate the tables and figures of docs/prediction.md from the recorded calls.

    python benchmarks/figures.py [--data FOLDER] [--redraw]

For each recording the default strategy is set beside every baseline by `budget-proxy backtest
--compare`, and put under stress as in tests/test_predict_stress.py. What was found goes to
docs/figures/results.json; tables and figures are made of that file alone (--redraw makes them
again without measuring). The same results give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from budget_proxy.predict.evaluate import FITTED, static_quantiles  # noqa: E402
from budget_proxy.predict.promises import ENOUGH  # noqa: E402
from budget_proxy.types import LEVELS  # noqa: E402 (the root comes first)
from tests import experiments as stress  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE = ROOT / "docs" / "prediction.md"
FOLDER = ROOT / "docs" / "figures"
RESULTS = FOLDER / "results.json"
BEGIN, END = "<!-- make figures writes from here -->", "<!-- to here -->"
FILES = ("chat", "reasoning", "agent_steps", "coding_agent_steps")
NAMES = tuple(f"q{100 * level:.0f}" for level in LEVELS)
SIZES = (0, 30, 60, 125, 250, 500, 1_000, 2_000, 4_000, 10_000)
"""Calls of history between which the skill of the learning curve is told."""

_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7b5ea7")
Results = dict[str, Any]


def measured(data: Path) -> Results:
    """Everything that the page tells, from the recordings in a folder."""
    jobs = [(file, work) for file in FILES for work in (compared, stressed)]
    results: Results = {file: {} for file in FILES}
    for file, work in track(jobs, "Measuring"):
        rows = stress.recorded_rows(data / f"{file}.jsonl.gz")
        with tempfile.TemporaryDirectory() as folder:
            results[file] |= work(rows, Path(folder))
    return results


def compared(rows: tuple[stress.Row, ...], folder: Path) -> Results:
    """The strategy beside its baselines, its groups and confidence, and its learning curve."""
    values, found = stress.backtest(rows, folder, "--compare")
    kept = ("skill", "coverage", "accuracy", "attainable", "reserved")
    return {
        "rows": found["rows"],
        "scored": found["last_40_percent"]["n"],
        "strategies": {
            one["strategy"]: {name: _rounded(one["last_40_percent"][name]) for name in kept}
            for one in found["comparison"]
        },
        "groups": len(found["groups"]),
        "groups_off": [
            {"name": group["name"], **_rounded(group["coverage"])}
            for group in found["groups"]
            if not all(group["holds"].values())
        ],
        "confidence": [_rounded(part) for part in found["confidence_by_decile"]],
        "prompts": by_prompt(rows, values),
        "curve": list(curve(rows, values)),
    }


def by_prompt(rows: tuple[stress.Row, ...], values: stress.Floats) -> Results:
    """Skill on the last 40 % for prompts that came before in the file, and for new ones."""
    seen: set[str] = set()
    known = []
    for row in rows:
        prompt = json.dumps(row["messages"])
        known.append(prompt in seen)
        seen.add(prompt)
    true, cut = stress.lengths(rows), int(FITTED * len(rows))
    assert np.isfinite(true).all(), "the recordings have a length in every row"
    constant = static_quantiles(true, [row["model"] for row in rows], cut)
    found: Results = {}
    for name, its in (("seen", np.array(known)), ("new", ~np.array(known))):
        scored = np.flatnonzero(its[cut:]) + cut
        found[name] = {"n": len(scored)}
        if len(scored) < ENOUGH:
            continue
        ours, theirs = (stress.pinball(true[scored], some[scored]) for some in (values, constant))
        skill = dict(zip(NAMES, (1.0 - ours / theirs).tolist(), strict=True))
        found[name] |= _rounded(skill)
    return found


def curve(rows: tuple[stress.Row, ...], values: stress.Floats) -> Iterator[Results]:
    """Skill by the number of calls learned before, against constants that knew all rows.

    The constants are each model's quantiles over the whole file: the best that never learns.
    """
    true = stress.lengths(rows)
    models = np.array([row.get("model") or "" for row in rows])
    constant = np.zeros_like(values)
    for model in set(models.tolist()):
        its = models == model
        constant[its] = np.nanquantile(true[its], LEVELS, axis=0)
    for start, stop in pairwise(SIZES):
        part = slice(start, min(stop, len(rows)))
        known = np.isfinite(true[part])
        if known.sum() * 2 < stop - start:
            return
        ours, theirs = (
            stress.pinball(true[part][known], some[part][known]) for some in (values, constant)
        )
        skill = dict(zip(NAMES, (1.0 - ours / theirs).tolist(), strict=True))
        yield {"from": start, "to": part.stop, **_rounded(skill)}


def stressed(rows: tuple[stress.Row, ...], folder: Path) -> Results:
    """Coverage where answers were cut, and where lengths or models changed from the middle."""
    true, middle, last = stress.lengths(rows), len(rows) // 2, int(FITTED * len(rows))
    found: Results = {}
    for name, told in (("cut", True), ("cut, not told", False)):
        values, _ = stress.backtest(stress.cut(rows, told=told), folder)
        found[name] = _rounded(stress.coverage(true[last:], values[last:]))
    later = slice(middle + 150, middle + 450)
    for name, changed in (
        ("doubled", stress.doubled(rows, middle)), ("new model", stress.renamed(rows, middle)),
    ):  # fmt: skip
        values, _ = stress.backtest(changed, folder)
        found[name] = _rounded(stress.coverage(stress.lengths(changed)[later], values[later]))
    return {"stress": found}


def tables(results: Results) -> str:
    """The page's tables, as Markdown."""
    parts = []
    for file, found in results.items():
        parts.append(
            f"### {file}: {found['rows']:,} rows, scored on the last {found['scored']:,}\n"
        )
        rows = [
            [
                name,
                *(_brief(scores["skill"][level]) for level in NAMES),
                *(_brief(scores["coverage"][level]) for level in NAMES),
                _brief(scores["accuracy"]),
                _brief(scores["attainable"]),
                f"{scores['reserved']:.2f}",
            ]
            for name, scores in found["strategies"].items()
        ]
        columns = (
            "strategy", *(f"skill {NAMES[0]}", *NAMES[1:]), *(f"within {NAMES[0]}", *NAMES[1:]),
            "accurate", "attainable", "Σ q95 / Σ used",
        )  # fmt: skip
        parts.append(_table(columns, rows))
    parts.append("### Prompts seen before, and new ones\n")
    columns = ("file", "seen: calls", *NAMES, "new: calls", *NAMES)
    parts.append(_table(columns, (_prompts_row(*pair) for pair in results.items())))
    parts.append("### By model and by agent\n")
    parts.append(
        _table(
            ("file", "groups of 200 calls", "within what is allowed", "off"),
            (
                [
                    file,
                    str(found["groups"]),
                    str(found["groups"] - len(found["groups_off"])),
                    ", ".join(group["name"] for group in found["groups_off"]) or "none",
                ]
                for file, found in results.items()
            ),
        )
    )
    parts.append("### Under stress\n")
    columns = ("file", "cut: q95", "q99", "not told: q95", "q99", "doubled: q95", "new model: q95")
    parts.append(_table(columns, (_stress_row(*pair) for pair in results.items())))
    return "\n".join(parts)


def draw(results: Results, folder: Path = FOLDER) -> None:
    """The figures, as SVG in a folder."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({
        "svg.hashsalt": "budget-proxy", "svg.fonttype": "none", "font.family": "sans-serif",
        "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.color": "#e4e4e4", "legend.frameon": False,
        "figure.constrained_layout.use": True,
    })  # fmt: skip
    for figure, name in ((_calibration(results), "calibration"), (_history(results), "history")):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


def written(page: str, text: str) -> str:
    """The page with other tables between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def _calibration(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 3.6))
    quantiles, confidence = figure.subplots(1, 2)
    for (file, found), colour in zip(results.items(), _COLOURS, strict=True):
        realised = next(iter(found["strategies"].values()))["coverage"]
        quantiles.plot(
            [100 * level for level in LEVELS], [100 * realised[name] for name in NAMES],
            "o-", color=colour, label=file, markersize=4, linewidth=1.2,
        )  # fmt: skip
        confidence.plot(
            [100 * part["promised"] for part in found["confidence"]],
            [100 * part["held"] for part in found["confidence"]],
            "o-", color=colour, markersize=4, linewidth=1.2,
        )  # fmt: skip
    _promise(quantiles, "Quantiles: % of answers no longer", (45, 100))
    _promise(confidence, "Confidence: % of calls using 50-95 %", (0, 100))
    quantiles.legend(loc="upper left")
    return figure


def _promise(axes: Axes, title: str, limits: tuple[float, float]) -> None:
    axes.plot(limits, limits, color="#888888", linewidth=0.8, linestyle="--")
    axes.set(title=title, xlabel="promised", ylabel="realised", xlim=limits, ylim=limits)
    axes.set_aspect("equal")


def _history(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 3.2))
    for axes, level in zip(figure.subplots(1, 2, sharey=True), ("q50", "q95"), strict=True):
        for (file, found), colour in zip(results.items(), _COLOURS, strict=True):
            middles = [(max(part["from"], 15) * part["to"]) ** 0.5 for part in found["curve"]]
            skill = [part[level] for part in found["curve"]]
            axes.plot(middles, skill, "o-", color=colour, label=file, markersize=4, linewidth=1.2)
        axes.axhline(0.0, color="#888888", linewidth=0.8, linestyle="--")
        axes.set(title=f"Skill at {level}", xlabel="calls learned before", xscale="log")
        axes.set_ylim(-1.0, 1.0)
    axes.legend(loc="lower right")
    return figure


def _prompts_row(file: str, found: Results) -> list[str]:
    parts = [found["prompts"][name] for name in ("seen", "new")]
    return [
        file,
        *(
            cell
            for part in parts
            for cell in (
                f"{part['n']:,}",
                *(_brief(part[name]) if name in part else "" for name in NAMES),
            )
        ),
    ]


def _stress_row(file: str, found: Results) -> list[str]:
    its = found["stress"]
    asked = (
        ("cut", "q95"), ("cut", "q99"), ("cut, not told", "q95"), ("cut, not told", "q99"),
        ("doubled", "q95"), ("new model", "q95"),
    )  # fmt: skip
    return [file, *(_brief(its[name][level]) for name, level in asked)]


def _table(columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    names = list(columns)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _brief(value: float) -> str:
    """Three digits, and no zero before the point: .322, -3.41, -83."""
    size = abs(value)
    text = f"{value:.3f}" if size < 1 else f"{value:.2f}" if size < 10 else f"{value:.0f}"
    return text.replace("0.", ".", 1) if size < 1 else text


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(its) for name, its in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    """Measure, and write results, figures and page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    given = os.environ.get("BUDGET_PROXY_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(given), help="the recordings' folder")
    parser.add_argument("--redraw", action="store_true", help="from the results that are there")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if not options.redraw:
        results = measured(options.data)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    draw(results)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, tables(results)), encoding="utf-8")


if __name__ == "__main__":
    main()
