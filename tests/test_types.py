from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.types import Characteristics, Features, Override, Scope
from tests.makers import forecast


def test_a_quantile_between_levels_lies_between_them_in_log_space() -> None:
    """Half-way from q50 = 100 to q75 = 400 is their geometric mean, 200."""
    assert forecast(100, 400, 500, 600, 700).quantile(0.625) == pytest.approx(200.0)


def test_quantiles_beyond_the_outer_levels_are_the_outer_values() -> None:
    """Nothing is extrapolated."""
    distribution = forecast(100, 200, 300, 400, 500)
    assert distribution.quantile(0.01) == 100
    assert distribution.quantile(0.999) == 500


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 2.0])
def test_a_level_outside_the_open_unit_interval_is_an_error(level: float) -> None:
    """A quantile level is a probability that can fail both ways."""
    with pytest.raises(ValueError, match="strictly between"):
        forecast().quantile(level)


def test_cdf_is_the_inverse_of_quantile() -> None:
    """From 100 (.50) to 400 (.75): at 200 half the way, so .625."""
    assert forecast(100, 400, 500, 600, 700).cdf(200) == pytest.approx(0.625)


def test_a_point_forecast_has_a_step_as_cdf() -> None:
    """A strategy with one number at every level says: never less, never more."""
    point = forecast(100, 100, 100, 100, 100)
    assert point.cdf(99) == 0.0
    assert point.cdf(100) == 1.0


@given(
    st.lists(st.floats(1, 1e6), min_size=5, max_size=5).map(sorted),
    st.lists(st.floats(0.5, 2e6), min_size=2, max_size=2).map(sorted),
)
def test_cdf_never_falls_and_stays_a_probability(values: list[float], at: list[float]) -> None:
    """For any ascending quantiles, ties included."""
    distribution = forecast(*values)
    low, high = distribution.cdf(at[0]), distribution.cdf(at[1])
    assert 0.0 <= low <= high <= 1.0
    assert not math.isnan(low + high)


@pytest.mark.parametrize("shared", [Scope(), Override()])
def test_what_calls_share_cannot_be_changed(shared: Any) -> None:
    """The defaults stand behind every call that says nothing: a caller cannot write into them."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(shared, dataclasses.fields(shared)[0].name, "x")


def test_only_the_novelty_is_another() -> None:
    """Every other field is carried over, also one that is new here."""
    kind = Characteristics(
        complexity=40.0, domains=frozenset({"auth"}), task_type="review", novelty=0.9,
        uncertainty=0.4, criticality=0.6, creative=True, architecture=True,
        evidence={"complexity": ("keyword:proof",)},
    )  # fmt: skip
    known = Features(
        agent="a", model="m", task_type="review", characteristics=kind, now=5.0, input_tokens=7,
        ceiling=9, session="s", task="t", signals=b"signals",
    )  # fmt: skip
    plain = Features("", "", "", Characteristics(), 0.0)
    for value, without in ((known, plain), (kind, plain.characteristics)):
        for field in dataclasses.fields(value):
            assert getattr(value, field.name) != getattr(without, field.name)
    expected = dataclasses.replace(known, characteristics=dataclasses.replace(kind, novelty=0.25))
    assert known.with_novelty(0.25) == expected
