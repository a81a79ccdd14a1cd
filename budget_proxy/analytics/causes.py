"""The causes an alert may have: which explains which, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from budget_proxy.store.alerts import Severity

LONGER: Final = "longer"
SHORTER: Final = "shorter"
PRICE: Final = "price"
TRUNCATION: Final = "truncation"
COVERAGE: Final = "coverage"
OVER: Final = "over-allocation"
UNDER: Final = "under-allocation"
EFFICIENCY: Final = "efficiency-drop"
SPIKE: Final = "cost-spike"
ESTIMATED: Final = "estimated"
UNPRICED: Final = "unpriced"
LIMIT: Final = "limit"
REFUSES: Final = "refuses"
"""What a limit does that has refused a call; else it would refuse, degrade or alert."""
HELD: Final = "held-back"
LOOP: Final = "loop"
RUNAWAY: Final = "runaway"

_NAMED: Final = 5

CAUSES: Final = (
    LIMIT, LONGER, SHORTER, PRICE, TRUNCATION, COVERAGE, UNDER, OVER, EFFICIENCY, SPIKE,
    UNPRICED, ESTIMATED, HELD, LOOP, RUNAWAY,
)  # fmt: skip
"""Every cause; the strongest first."""

CHANGES: Final = frozenset({LONGER, SHORTER, PRICE})
"""Those that happen once and then are the new normal: over after a day without another."""

OF_RUNS: Final = frozenset({LOOP, RUNAWAY})
"""Those that a run's own alarms tell of (predict/runs)."""

OPPOSITE: Final[Mapping[str, str]] = MappingProxyType({LONGER: SHORTER, SHORTER: LONGER})

_BUDGETS: Final = frozenset({UNDER, OVER, EFFICIENCY})
_EXPLAINS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        LONGER: frozenset({TRUNCATION, COVERAGE, SPIKE, ESTIMATED} | _BUDGETS),
        SHORTER: frozenset({COVERAGE} | _BUDGETS),
        PRICE: frozenset({SPIKE}),
        TRUNCATION: frozenset({COVERAGE} | _BUDGETS),
        COVERAGE: _BUDGETS,
        UNDER: frozenset({EFFICIENCY, SPIKE}),
        OVER: frozenset({EFFICIENCY}),
    }
)


def explains(cause: str, symptom: str) -> bool:
    """Whether what ``symptom`` shows is likely to come of ``cause``."""
    return symptom in _EXPLAINS.get(cause, frozenset())


_CRITICAL: Final[Mapping[str, tuple[str, float]]] = MappingProxyType(
    {
        LONGER: ("factor", 2.0),
        PRICE: ("factor", 2.0),
        TRUNCATION: ("share", 0.25),
        SPIKE: ("factor", 4.0),
        LIMIT: ("share", 0.95),
    }
)
_HARMLESS: Final = frozenset({SHORTER, ESTIMATED, HELD})


def severity_of(cause: str, figures: Mapping[str, Any]) -> Severity:
    """How bad it is: by the cause, and by how much."""
    name, bound = _CRITICAL.get(cause, ("", 0.0))
    if cause == LIMIT and figures.get("said") == REFUSES:
        return "critical"
    if name and figures.get(name, 0.0) >= bound:
        return "critical"
    return "info" if cause in _HARMLESS else "warning"


def place_of(scope: tuple[str | None, str | None, str | None]) -> str:
    """Which calls, in words."""
    agent, task, model = scope
    parts = [part for part in (agent, task, model) if part is not None]
    return " / ".join(parts) if parts else "all calls"


def text_of(
    cause: str, scope: tuple[str | None, str | None, str | None], figures: Mapping[str, Any]
) -> str:
    """What happened, how much, and what to do about it."""
    place = place_of(scope)
    said = _SAID[cause](place, _Figures(figures))
    symptoms = figures.get("symptoms")
    if symptoms:
        said += f" With it came: {', '.join(sorted(symptoms))}."
    return said


class _Figures(dict[str, Any]):
    """Figures as texts say them: shares as percentages."""

    def share(self, name: str) -> str:
        return f"{100 * self.get(name, 0.0):.0f} %"


def _longer(place: str, figures: _Figures) -> str:
    return _lengths(place, figures, "longer")


def _shorter(place: str, figures: _Figures) -> str:
    return _lengths(place, figures, "shorter")


def _lengths(place: str, figures: _Figures, what: str) -> str:
    return (
        f"Answers of {place} have become {what}: {figures.get('factor', 1.0):.2f} times as long "
        f"as before, over {figures.get('calls', 0):,} calls. Forecasts adapt by themselves; if "
        "you did not change model, prompt or effort, ask the provider what changed. "
        "See `budget-proxy report --by group --since 7d`."
    )


def _price(place: str, figures: _Figures) -> str:
    return (
        f"A token of {place} costs {figures.get('factor', 1.0):.2f} times what it did, over "
        f"{figures.get('calls', 0):,} calls. Compare the provider's price list and tier; "
        "`budget-proxy report --by model --since 7d` shows what it comes to."
    )


def _truncation(place: str, figures: _Figures) -> str:
    ours = figures.get("ours", 0)
    whose = f", {ours:,} of them by our own cap" if ours else ", all by the caller's own cap"
    advice = (
        'Our caps widen by themselves; `caps = "never"` in budget_proxy.toml turns them off.'
        if ours
        else "Raise max_tokens in the calling program, or leave it out: "
        "`budget-proxy predict` shows what the task needs."
    )
    return (
        f"{figures.share('share')} of the answers of {place} are cut ({figures.get('cut', 0):,} of "
        f"{figures.get('calls', 0):,}{whose}); before it were {figures.share('usual')}. {advice}"
    )


def _coverage(place: str, figures: _Figures) -> str:
    return (
        f"Forecasts for {place} do not hold: {figures.share('above_50')} of "
        f"{figures.get('calls', 0):,} answers were longer than q50 (promised 50 %), "
        f"{figures.share('above_90')} than q90 (10 %), {figures.share('above_95')} than q95 "
        "(5 %). They adapt with more calls; `budget-proxy report --by group` shows whether they do."
    )


def _budgets(place: str, figures: _Figures) -> str:
    return (
        f"Of late {figures.share('accuracy')} of the budgets of {place} were used to 50-95 %, "
        f"where {figures.share('attainable')} was attainable: {figures.share('over')} of the calls "
        f"used less, {figures.share('under')} more. `budget-proxy report --by group` shows the "
        "use; see whether one agent name stands for different kinds of work."
    )


def _efficiency(place: str, figures: _Figures) -> str:
    return (
        f"The efficiency of budgets of {place} fell to {figures.share('efficiency')} "
        f"({figures.share('possible')} was attainable). `budget-proxy report --by group` shows the "
        "use."
    )


def _spike(place: str, figures: _Figures) -> str:
    return (
        f"A call of {place} costs {figures.get('factor', 1.0):.1f} times the average before, over "
        f"{figures.get('calls', 0):,} calls (${figures.get('cost', 0.0):.4g} each): mostly longer "
        "inputs or another kind of work. `budget-proxy report --by group --since 7d` shows both."
    )


def _estimated(place: str, figures: _Figures) -> str:
    return (
        f"{figures.share('share')} of {figures.get('calls', 0):,} attempts of {place} came without "
        "usage and are accounted at an estimate. Keep `include_usage` on, and let streams be read "
        "to their end; `budget-proxy doctor` checks the way to the provider."
    )


def _unpriced(_place: str, figures: _Figures) -> str:
    models = figures.get("models", [])
    return (
        f"The price of {len(models)} model{'s' if len(models) != 1 else ''} is unknown "
        f"({', '.join(models[:_NAMED])}{' ...' if len(models) > _NAMED else ''}): their calls "
        "count as no money in reports, and at the dearest known price against limits. Set it "
        '([prices."NAME"] in the settings), update the price list (`pip install -U '
        "genai-prices`), or name the model as the provider does."
    )


def _limit(_place: str, figures: _Figures) -> str:
    beyond = {
        REFUSES: (
            "Calls that may need more than is left are refused: raise it, give them a lower cap, "
            "or wait until it begins anew."
        ),
        "alert": "It is soft: calls beyond it go on.",
        "degrade": "Calls fall back to what it names when it is reached, and then are refused.",
    }
    return (
        f"The limit {figures.get('limit')} is used to {figures.share('share')} "
        f"({figures.get('used', 0):,.10g} of {figures.get('size', 0):,.10g}). "
        + beyond.get(
            figures.get("said", ""),
            "Calls are refused when it is reached: raise it, or spend less.",
        )
    )


def _held(_place: str, figures: _Figures) -> str:
    counts = ", ".join(f"{count} {cause}" for cause, count in figures.get("held", {}).items())
    return (
        f"More alerts came within an hour than are raised ({counts} were held back). Something "
        "common is behind them: `budget-proxy report --by group --since 24h`."
    )


def _loop(place: str, figures: _Figures) -> str:
    return _of_runs(f"Runs of {place} go in circles: calls repeat those before them", figures)


def _runaway(place: str, figures: _Figures) -> str:
    return _of_runs(f"Runs of {place} go beyond what such runs usually use", figures)


def _of_runs(what: str, figures: _Figures) -> str:
    runs = figures.get("runs", [])
    return (
        f"{what} ({', '.join(runs)}). `budget-proxy runs show {runs[-1] if runs else 'RUN'}` tells "
        'more; runaway = "stop" under [runs] refuses the calls of such runs.'
    )


_SAID: Final = MappingProxyType(
    {
        LONGER: _longer, SHORTER: _shorter, PRICE: _price, TRUNCATION: _truncation,
        COVERAGE: _coverage, OVER: _budgets, UNDER: _budgets, EFFICIENCY: _efficiency,
        SPIKE: _spike, ESTIMATED: _estimated, UNPRICED: _unpriced, LIMIT: _limit, HELD: _held,
        LOOP: _loop, RUNAWAY: _runaway,
    }
)  # fmt: skip
