"""The page about prediction tells what was last measured, and its figures can be drawn again."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.predict.strategies import BASELINES, make
from tests.examples import ROOT

PAGE = ROOT / "docs" / "prediction.md"
FIGURES = ROOT / "docs" / "figures"


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    """The functions of the program that writes tables and figures."""
    return runpy.run_path(str(ROOT / "benchmarks" / "figures.py"))


@pytest.fixture(scope="module")
def results() -> Any:
    """What it measured last."""
    return json.loads((FIGURES / "results.json").read_text(encoding="utf-8"))


def test_the_tables_are_those_of_the_last_results(generator: dict[str, Any], results: Any) -> None:
    """No figure between the markers was written by hand, and none is older than the others."""
    page = PAGE.read_text(encoding="utf-8")
    assert generator["written"](page, generator["tables"](results)) == page
    assert page.count(generator["BEGIN"]) == page.count(generator["END"]) == 1


def test_other_results_make_another_page(generator: dict[str, Any], results: Any) -> None:
    """A table shows the number that the results give, without a zero before the point."""
    changed = json.loads(json.dumps(results))
    its = next(iter(changed["chat"]["strategies"].values()))
    its["skill"]["q90"] = -0.123
    assert "| -.123 |" in generator["tables"](changed)
    assert "| -.123 |" not in generator["tables"](results)


def test_every_baseline_and_the_control_are_in_every_table(results: Any) -> None:
    """Each recording has all six of them, and the outcomes of other calls."""
    assert list(results) == ["chat", "reasoning", "agent_steps", "coding_agent_steps"]
    for found in results.values():
        assert {*BASELINES, "shuffled"} <= set(found["strategies"])


def test_the_figures_of_the_page_are_there(generator: dict[str, Any]) -> None:
    """Each one shown is a file beside the results, and each file is shown."""
    shown = re.findall(r"\]\(figures/(\w+\.svg)\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in FIGURES.glob("*.svg"))
    assert generator["FOLDER"] == FIGURES


def test_the_same_results_give_the_same_figures(
    generator: dict[str, Any], results: Any, tmp_path: Path
) -> None:
    """Drawn twice, to the byte, so that only news makes a difference in a commit."""
    drawn = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        generator["draw"](results, folder)
        drawn.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert set(drawn[0]) == {"calibration.svg", "history.svg"}
    assert drawn[0] == drawn[1]


def test_the_page_tells_of_the_default_strategy(results: Any) -> None:
    """The first in every table is what `auto` is today."""
    for found in results.values():
        assert next(iter(found["strategies"])) == make("auto").name
