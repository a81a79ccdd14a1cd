"""The default strategy under stress: cut answers, drift, new models and agents, no leakage.

On made-up calls always, on the recorded ones in `make test-all`: what issue and docs promise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from budget_proxy.cli.app import app
from budget_proxy.predict.evaluate import FITTED
from budget_proxy.predict.strategies import make
from budget_proxy.types import LEVELS, Features, Observation
from tests import experiments as stress

FILES = ("chat", "reasoning", "agent_steps", "coding_agent_steps")
BASELINES = ("heuristic", "similarity", "quantile", "rolling")
SETTLES, LATER = 150, 450
"""The calls after a shift, from the 150th to the 450th, on which coverage must hold again."""

TARGETS = {
    "chat": {"q50": 0.29, "q90": 0.36, "q95": 0.39},
    "reasoning": {"q50": 0.665, "q90": 0.675, "q95": 0.645},
    "agent_steps": {"q50": 0.105, "q90": 0.17, "q95": 0.165},
    "coding_agent_steps": {"q50": 0.03, "q90": 0.18, "q95": 0.25},
}
"""Skill that must be reached."""

HELD = {"chat": 2.1, "reasoning": 1.8, "agent_steps": 3.5}
"""Sum of q95 by the sum used, at most."""

KNOWN = {"chat": {("gpt-4-1106-preview", "q50")}}
"""Groups and levels that are off: 159 or 161 of 274 calls, by processor, where 157 may be. Of files
with these groups and perfect forecasts 15 % have one that is (docs/prediction.md)."""

pytestmark = pytest.mark.xdist_group("stress")  # comparisons are made once and shared

_recordings = pytest.mark.parametrize("name", FILES)


@cache
def _compared(file: Path) -> Any:
    """The default strategy beside all baselines and the control: JSON of the command."""
    result = CliRunner().invoke(app, ["backtest", str(file), "--compare", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _last(rows: Sequence[Any]) -> int:
    return int(FITTED * len(rows))


def _after_the_shift(rows: Sequence[stress.Row], folder: Path, start: int) -> float:
    """Coverage at q95 once the strategy had 150 calls to see what has changed."""
    values, _ = stress.backtest(rows, folder)
    window = slice(start + SETTLES, start + LATER)
    return stress.coverage(stress.lengths(rows)[window], values[window])["q95"]


def _of_cut_answers(rows: Sequence[stress.Row], folder: Path, *, told: bool) -> dict[str, float]:
    """Coverage of the true lengths on the last 40 %, learned from cut ones."""
    values, _ = stress.backtest(stress.cut(rows, told=told), folder)
    start = _last(rows)
    return stress.coverage(stress.lengths(rows)[start:], values[start:])


def _beside_constants(
    rows: Sequence[stress.Row], folder: Path, *, history: int
) -> dict[str, tuple[float, float]]:
    """By agent that was new: loss of its calls 21 to 120, by that of its first 20's quantiles.

    At q50 and at q95.
    """
    agents = [row["agent"] for row in rows]
    found = {}
    for agent in sorted(set(agents)):
        if agents.count(agent) < 120:
            continue
        its = stress.newcomer(rows, agent, history=history, calls=120)
        values, _ = stress.backtest(its, folder)
        true = stress.lengths(its)
        constant = np.quantile(true[-120:-100], LEVELS)
        ours = stress.pinball(true[-100:], values[-100:])
        ratio = ours / stress.pinball(true[-100:], np.tile(constant, (100, 1)))
        found[agent] = (float(ratio[0]), float(ratio[3]))
    return found


def _off(groups: Any) -> set[tuple[str, str]]:
    """Groups whose coverage is further off than allowed, with the level at which it is."""
    return {
        (one["name"], level) for one in groups for level, held in one["holds"].items() if not held
    }


def _beside_the_best(comparison: Any) -> dict[str, float]:
    """The default's loss by that of the best baseline, at each level and over all of them.

    By itself q99 is left out: some 10 to 40 answers above it are noise.
    """
    found = {one["strategy"]: one["last_40_percent"]["pinball"] for one in comparison}
    auto = comparison[0]["last_40_percent"]["pinball"]
    ratios = {
        level: loss / min(found[baseline][level] for baseline in BASELINES)
        for level, loss in auto.items()
        if level != "q99"
    }
    whole = min(sum(found[baseline].values()) for baseline in BASELINES)
    return {**ratios, "all levels": sum(auto.values()) / whole}


def _fits(rows: Sequence[stress.Row], folder: Path, patch: pytest.MonkeyPatch) -> list[int]:
    """After how many calls the default strategy was fitted; none where it never is."""
    kind: Any = type(make("auto"))
    learned, fits = 0, []
    learn, adopt = kind.learn_one, getattr(kind, "adopt", None)

    def counted(self: Any, features: Features, seen: Observation, call_id: str = "") -> None:
        nonlocal learned
        learned += 1
        learn(self, features, seen, call_id)

    def noted(self: Any, fitted: Any) -> None:
        fits.append(learned)
        assert adopt is not None
        adopt(self, fitted)

    with patch.context() as patched:
        patched.setattr(kind, "learn_one", counted)
        if adopt is not None:
            patched.setattr(kind, "adopt", noted)
        stress.backtest(rows, folder)
    assert learned == len(rows)
    return fits


def _check_that_nothing_leaks(
    rows: Sequence[stress.Row], folder: Path, patch: pytest.MonkeyPatch, places: set[int]
) -> None:
    """Forecasts up to row i are those of other outcomes from i on, also around fits."""
    fits = _fits(rows, folder, patch)
    for fit in {*fits[:1], *fits[-1:]}:
        places |= {fit - 1, fit, fit + 1}
    before, _ = stress.backtest(rows, folder)
    for place in sorted(place for place in places if 0 <= place < len(rows) - 1):
        after, _ = stress.backtest(stress.other_outcomes(rows, place), folder)
        assert after[: place + 1].tolist() == before[: place + 1].tolist(), place
        if place < len(rows) - 20:  # what has changed is seen within some calls
            assert after[place + 1 :].tolist() != before[place + 1 :].tolist(), place


@pytest.mark.slow
def test_cut_answers_do_not_shorten_the_upper_quantiles(tmp_path: Path) -> None:
    """Cut at its group's p90, q95 and q99 cover the true lengths; who is not told falls short."""
    rows = stress.made_up(1500)
    found = _of_cut_answers(rows, tmp_path, told=True)
    assert found["q95"] == pytest.approx(0.95, abs=0.03)
    assert found["q99"] == pytest.approx(0.99, abs=0.03)
    assert _of_cut_answers(rows, tmp_path, told=False)["q95"] < 0.92


@pytest.mark.slow
def test_coverage_comes_back_after_lengths_have_doubled(tmp_path: Path) -> None:
    """150 calls after every answer became twice as long, q95 covers 95 % again."""
    rows = stress.doubled(stress.made_up(1100), 600)
    assert _after_the_shift(rows, tmp_path, 600) == pytest.approx(0.95, abs=0.04)


@pytest.mark.slow
def test_coverage_holds_for_a_new_model(tmp_path: Path) -> None:
    """150 calls after all prompts went to a model never seen, q95 covers 95 %."""
    rows = stress.renamed(stress.made_up(1100), 600)
    assert _after_the_shift(rows, tmp_path, 600) == pytest.approx(0.95, abs=0.04)


def test_no_forecast_knows_its_own_outcome_or_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other outcomes from row i on leave forecast i alike: early, late, and around fits."""
    _check_that_nothing_leaks(stress.made_up(200), tmp_path, monkeypatch, {0, 20, 198})


def test_a_new_agent_is_forecast_better_than_by_its_first_answers(tmp_path: Path) -> None:
    """After 20 of its calls, q50 and q95 lose less than the constant quantiles of those 20."""
    found = _beside_constants(stress.made_up(700), tmp_path, history=300)
    assert len(found) == 3
    q50, q95 = np.mean(list(found.values()), axis=0)
    assert max(q50, q95) < 1.0


@pytest.fixture(scope="module")
def made_up_compared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The default strategy beside all others on 2,000 made-up calls."""
    _, found = stress.backtest(
        stress.made_up(2000), tmp_path_factory.mktemp("made-up"), "--compare"
    )
    return found["comparison"]


@pytest.mark.slow
def test_shuffled_outcomes_give_no_skill(made_up_compared: Any) -> None:
    """Permuted within their model, made-up outcomes are forecast no better than by constants.

    Nor much worse, but for the upper quantiles, which 1,200 outcomes leave uncertain.
    """
    control = made_up_compared[-1]
    assert control["strategy"] == "shuffled"
    skill = control["last_40_percent"]["skill"]
    assert max(skill.values()) <= 0.03, skill
    assert min(skill["q50"], skill["q75"]) >= -0.03, skill


@pytest.mark.slow
def test_no_baseline_is_much_better(made_up_compared: Any) -> None:
    """The default's loss is at most 1.02 of the best baseline's on made-up calls, by level."""
    assert max(_beside_the_best(made_up_compared).values()) <= 1.02


@pytest.mark.slow
@_recordings
def test_recorded_cut_answers_do_not_shorten_the_upper_quantiles(
    recorded: Path, tmp_path: Path, name: str
) -> None:
    """q95 and q99 cover the true lengths within 3 points; one that was told nothing does not."""
    rows = stress.recorded_rows(recorded / f"{name}.jsonl.gz")
    found = _of_cut_answers(rows, tmp_path, told=True)
    naive = _of_cut_answers(rows, tmp_path, told=False)
    assert max(abs(naive["q95"] - 0.95), abs(naive["q99"] - 0.99)) > 0.03, (found, naive)
    assert found["q95"] == pytest.approx(0.95, abs=0.03), (found, naive)
    assert found["q99"] == pytest.approx(0.99, abs=0.03), (found, naive)


@pytest.mark.slow
@_recordings
def test_recorded_lengths_that_double_are_covered_again(
    recorded: Path, tmp_path: Path, name: str
) -> None:
    """From the 150th to the 450th call after the middle q95 covers 95 % within 4 points."""
    rows = stress.recorded_rows(recorded / f"{name}.jsonl.gz")
    middle = len(rows) // 2
    found = _after_the_shift(stress.doubled(rows, middle), tmp_path, middle)
    assert found == pytest.approx(0.95, abs=0.04)


@pytest.mark.slow
@_recordings
def test_a_new_model_is_covered_on_recorded_prompts(
    recorded: Path, tmp_path: Path, name: str
) -> None:
    """All calls from the middle on go to a model never seen: q95 covers 95 % within 4 points."""
    rows = stress.recorded_rows(recorded / f"{name}.jsonl.gz")
    middle = len(rows) // 2
    found = _after_the_shift(stress.renamed(rows, middle), tmp_path, middle)
    assert found == pytest.approx(0.95, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reasoning", "coding_agent_steps"])
def test_no_recorded_forecast_knows_its_own_outcome_or_a_later_one(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Other outcomes from row i on leave forecast i alike, also around fits."""
    rows = stress.recorded_rows(recorded / f"{name}.jsonl.gz")[:1500]
    _check_that_nothing_leaks(rows, tmp_path, monkeypatch, {1, 700, 1498})


@pytest.mark.slow
def test_a_new_recorded_agent_is_forecast_better_than_by_its_first_answers(
    recorded: Path, tmp_path: Path
) -> None:
    """Each agent of chat taken out of the history before: on average q50 and q95 lose less."""
    rows = stress.recorded_rows(recorded / "chat.jsonl.gz")
    found = _beside_constants(rows, tmp_path, history=3000)
    assert len(found) == 6
    q50, q95 = np.mean(list(found.values()), axis=0)
    assert max(q50, q95) < 1.0, found


@pytest.mark.slow
@_recordings
def test_skill_reaches_its_targets(recorded: Path, name: str) -> None:
    """On the last 40 % of each recording, at q50, q90 and q95, with bounded reservations."""
    last = _compared(recorded / f"{name}.jsonl.gz")["last_40_percent"]
    missed = {
        level: last["skill"][level]
        for level, least in TARGETS[name].items()
        if last["skill"][level] < least
    }
    assert not missed
    assert last["reserved"] <= HELD.get(name, float("inf"))


@pytest.mark.slow
@_recordings
def test_coverage_holds_on_recorded_calls(recorded: Path, name: str) -> None:
    """Within 1.5 points on the large files, 3 on the others."""
    found = _compared(recorded / f"{name}.jsonl.gz")
    allowed = 0.015 if name in {"chat", "agent_steps"} else 0.03
    coverage = found["last_40_percent"]["coverage"]
    off = {level: share - int(level[1:]) / 100 for level, share in coverage.items()}
    assert all(abs(by) <= allowed for by in off.values()), off


@pytest.mark.slow
@_recordings
def test_coverage_holds_by_group_on_recorded_calls(recorded: Path, name: str) -> None:
    """Within 5 points or 2.5 standard deviations, whichever is more, but for what is KNOWN."""
    groups = _compared(recorded / f"{name}.jsonl.gz")["groups"]
    assert groups
    assert _off(groups) <= KNOWN.get(name, set())


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.xfail(reason="one group, by four calls of 274: docs/prediction.md", strict=True)
def test_coverage_holds_in_every_group(recorded: Path, name: str) -> None:
    """The same without exceptions. It does not hold; if it ever does, KNOWN is to go."""
    assert not _off(_compared(recorded / f"{name}.jsonl.gz")["groups"])


@pytest.mark.slow
@_recordings
def test_no_baseline_is_much_better_on_recorded_calls(recorded: Path, name: str) -> None:
    """The default's loss is at most 1.02 of the best baseline's, by level and on the whole."""
    ratios = _beside_the_best(_compared(recorded / f"{name}.jsonl.gz")["comparison"])
    assert all(ratio <= 1.02 for ratio in ratios.values()), ratios


@pytest.mark.slow
@_recordings
def test_shuffled_recorded_outcomes_give_no_skill(recorded: Path, name: str) -> None:
    """The control's skill is at most .03, at q99 with its noise .10: nothing leaks."""
    control = _compared(recorded / f"{name}.jsonl.gz")["comparison"][-1]
    assert control["strategy"] == "shuffled"
    skill = control["last_40_percent"]["skill"]
    allowed = {level: 0.10 if level == "q99" else 0.03 for level in skill}
    assert all(abs(value) <= allowed[level] for level, value in skill.items()), skill
