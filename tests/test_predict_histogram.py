from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from budget_proxy.predict import prior
from budget_proxy.predict.histogram import (
    BANDWIDTH,
    EDGES,
    LONGEST,
    Floats,
    Histogram,
    quantiles,
)

PRIOR = prior.survival(EDGES)
NO_PARENT = 1e-9
KERNEL_REACH = np.exp(2.5 * BANDWIDTH) * 1.06
"""How many times itself a length is spread to at most: 2.5 standard deviations, and one bin."""


def _filled(*lengths: int, memory: float | None = None) -> Histogram:
    histogram = Histogram(memory)
    for length in lengths:
        histogram.add(length, censored=False)
    return histogram


def _beyond(survival: Floats, tokens: int) -> float:
    """P(length > tokens)."""
    return float(np.interp(tokens + 0.5, EDGES, survival))


def _share(survival: Floats, tokens: int) -> float:
    """P(length = tokens), for lengths with a bin of their own."""
    return _beyond(survival, tokens - 1) - _beyond(survival, tokens)


def test_the_grid_is_exact_for_short_and_fine_for_long_lengths() -> None:
    """Each number up to 20 has its own bin; above, no bin is wider than 5 %."""
    assert EDGES[:21].tolist() == [number + 0.5 for number in range(21)]
    assert (EDGES[21:] / EDGES[20:-1]).max() <= 1.05
    assert EDGES[-2] <= LONGEST <= EDGES[-1]
    assert len(EDGES) < 320


def test_a_cut_length_counts_until_its_cut() -> None:
    """Lengths 3, 5 (cut) and 7 give the product-limit estimate worked out by hand."""
    histogram = _filled(3, 7)
    histogram.add(5, censored=True)
    survival = histogram.survival(PRIOR, NO_PARENT)
    # At 3: 1 of 3 ends, S = 2/3. At 5 one is cut: S stays. At 7 the one left ends: S = 0.
    shares = [_beyond(survival, tokens) for tokens in (2, 3, 5, 6, 7)]
    assert shares == pytest.approx([1.0, 2 / 3, 2 / 3, 2 / 3, 0.0], abs=1e-6)
    assert (histogram.count, histogram.censored) == (3, 1)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=3, max_size=40))
def test_without_a_parent_it_is_the_kaplan_meier_estimate(rows: list[tuple[int, bool]]) -> None:
    """Survival agrees with lifelines wherever someone is still at risk."""
    from lifelines import KaplanMeierFitter  # seconds to import, needed here alone

    times = [tokens for tokens, _ in rows]
    fitter = KaplanMeierFitter().fit(times, [not censored for _, censored in rows])
    points = list(range(max(times)))  # from 0 on, up to the last time at which any are left
    expected = np.atleast_1d(fitter.predict(points)).tolist()
    histogram = Histogram()
    for tokens, censored in rows:
        histogram.add(tokens, censored=censored)
    survival = histogram.survival(PRIOR, NO_PARENT)
    assert [_beyond(survival, tokens) for tokens in points] == pytest.approx(expected, abs=1e-5)


def test_the_parent_counts_as_that_many_outcomes() -> None:
    """Two own outcomes and a parent of strength two share the mass evenly."""
    parent = _filled(10).survival(PRIOR, NO_PARENT)
    survival = _filled(20, 20).survival(parent, 2.0)
    assert _share(survival, 10) == pytest.approx(2 / 4, abs=1e-6)
    assert _share(survival, 20) == pytest.approx(2 / 4, abs=1e-6)


def test_beyond_the_last_cut_the_parents_tail_takes_over() -> None:
    """With every length cut at 100, what lies above is distributed like the parent above 100."""
    histogram = Histogram()
    for _ in range(50):
        histogram.add(100, censored=True)
    survival = histogram.survival(PRIOR, 5.0)
    edge = float(EDGES[np.searchsorted(EDGES, 100)])  # the upper edge of the bin with 100
    for tokens in (1_000, 10_000):
        expected = np.interp(tokens, EDGES, PRIOR) / np.interp(edge, EDGES, PRIOR)
        got = np.interp(tokens, EDGES, survival) / np.interp(edge, EDGES, survival)
        assert got == pytest.approx(expected)
    # Below the cut: P(length > 100) = 1 - 5 F(100) / 55 or so, F the parent's.
    assert np.interp(edge, EDGES, survival) > 1 - 5 / 55


def test_new_outcomes_outweigh_old_ones() -> None:
    """With a memory of two, each outcome weighs half of the one after it."""
    survival = _filled(10, 20, 30, memory=2.0).survival(PRIOR, NO_PARENT)
    # Weights 1/4, 1/2, 1 of 7/4 in all.
    shares = [_share(survival, tokens) for tokens in (10, 20, 30)]
    assert shares == pytest.approx([1 / 7, 2 / 7, 4 / 7], abs=1e-6)


def test_a_long_history_neither_overflows_nor_loses_the_newest() -> None:
    """A thousand outcomes at a memory of two leave the last ones in force."""
    survival = _filled(*[5] * 1000, 9, 9, memory=2.0).survival(PRIOR, NO_PARENT)
    assert _share(survival, 9) == pytest.approx(3 / 4, abs=1e-6)  # 1 + 1/2 of 2


def test_long_lengths_are_spread_by_the_kernel() -> None:
    """One length of 1,000 becomes a bell around 1,000 with a deviation of .12 in ln."""
    survival = _filled(1000).survival(PRIOR, NO_PARENT)
    low, middle, high = quantiles(survival, [0.1587, 0.5, 0.8413])  # one deviation each way
    assert middle == pytest.approx(1000, rel=0.025)
    assert np.log(high / low) / 2 == pytest.approx(0.12, abs=0.015)


@pytest.mark.parametrize("tokens", [-5, 0, 1, LONGEST, 10**12])
def test_lengths_out_of_range_count_at_the_end_of_the_grid(tokens: int) -> None:
    """Impossible lengths raise nothing and give finite quantiles."""
    survival = _filled(tokens).survival(PRIOR, 1.0)
    assert np.isfinite(quantiles(survival, [0.05, 0.5, 0.99])).all()


def test_a_chain_of_parents_far_below_stays_finite() -> None:
    """Four generations that never saw long lengths still take a very long one."""
    survival = PRIOR
    for _ in range(4):
        survival = _filled(*[LONGEST] * 300, *[1] * 300).survival(survival, 1e-3)
    values = quantiles(_filled(LONGEST).survival(survival, 1e-3), [0.01, 0.99])
    assert np.isfinite(values).all()
    assert values[1] == pytest.approx(LONGEST, rel=0.5)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 100_000), max_size=30),
    st.integers(1, 100_000),
)
@example([26_380], 30_536)  # the kernel's own tail passes the parent's at q99, by 1 %
def test_a_cut_never_shortens_the_forecast(lengths: list[int], cut: int) -> None:
    """Had the last length been cut instead of complete, no quantile would be lower.

    Where the kernel spreads the complete length beyond itself, the two are different guesses,
    and only this is sure: that the cut one does not fall below the cut.
    """
    complete, censored = _filled(*lengths), _filled(*lengths)
    complete.add(cut, censored=False)
    censored.add(cut, censored=True)
    levels = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    shorter = quantiles(complete.survival(PRIOR, 5.0), levels)
    longer = quantiles(censored.survival(PRIOR, 5.0), levels)
    spread = (shorter > cut) & (shorter < cut * KERNEL_REACH)
    assert (longer >= np.where(spread, cut, shorter) * (1 - 1e-9)).all()  # but for rounding


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3_000_000), st.booleans()), max_size=60))
def test_quantiles_never_decrease_and_stay_on_the_grid(rows: list[tuple[int, bool]]) -> None:
    """Any history gives ascending quantiles between half a token and the longest length."""
    histogram = Histogram(memory=20.0)
    for tokens, censored in rows:
        histogram.add(tokens, censored=censored)
    values = quantiles(histogram.survival(PRIOR, 5.0), np.linspace(0.001, 0.999, 50))
    assert (np.diff(values) >= 0).all()
    assert values[0] >= 0.5
    assert values[-1] <= EDGES[-1]
