from __future__ import annotations

from math import inf, isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

from budget_proxy.analytics.suggestions.bounds import difference, length_holding, mean, ratio
from tests.makers import record

LENGTHS = st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1, max_size=60)


def test_a_mean_of_forty_sessions_by_hand() -> None:
    """Twenty of 100 and twenty of 200: 150, its error 50 / sqrt(39), 1.96 times that about."""
    found = mean((str(i), 100.0 if i % 2 else 200.0) for i in range(40))
    assert found.value == 150.0
    # Residuals of +-50: their squares add up to 40 * 2500; * 40/39, root, over 40.
    assert isclose(found.error, 50 / sqrt(39))
    assert isclose(found.high - found.low, 2 * 1.959964 * 50 / sqrt(39), rel_tol=1e-6)


def test_calls_of_one_session_count_as_one() -> None:
    """The same values, each said ten times by its session, tell no more than once."""
    once = [(str(i), float(i)) for i in range(30)]
    assert isclose(mean(once).error, mean(once * 10).error)
    assert mean(once * 10).n == 300


def test_fewer_than_twenty_sessions_have_no_bounds() -> None:
    """However many calls they made."""
    found = mean((str(i % 19), float(i)) for i in range(1000))
    assert (found.low, found.high) == (-inf, inf)
    assert mean([]).value == 0.0


def test_differences_add_their_variances() -> None:
    """Errors of 3 and 4 make one of 5."""
    one = mean((str(i), 3 * sqrt(39) * (1 if i % 2 else -1)) for i in range(40))
    other = mean((str(i), 4 * sqrt(39) * (1 if i % 2 else -1)) for i in range(40))
    assert isclose(difference(one, other).error, 5.0)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9), st.integers(1, 9)), min_size=40))
def test_a_ratio_is_what_its_sums_are(parts: list[tuple[int, int, int]]) -> None:
    """And its error that of the linearised clusters, computed with arrays."""
    found = ratio((str(key), float(above), float(below)) for key, above, below in parts)
    value = sum(above for _, above, _ in parts) / sum(below for _, _, below in parts)
    assert isclose(found.value, value)
    keys = sorted({key for key, _, _ in parts})
    rest = np.array([sum(a - value * b for key, a, b in parts if key == one) for one in keys])
    if len(keys) >= 20:
        error = sqrt(np.sum(rest**2) * len(keys) / (len(keys) - 1))
        assert isclose(found.error, error / sum(b for _, _, b in parts), abs_tol=1e-12)


@given(LENGTHS, st.sampled_from([0.5, 0.9, 0.99]))
def test_a_length_that_holds_is_kaplan_and_meiers(
    lengths: list[tuple[int, bool]], share: float
) -> None:
    """As lifelines has it: the first length at which the survival curve is low enough."""
    found = length_holding([record(output_tokens=n, truncated=cut) for n, cut in lengths], share)
    curve = KaplanMeierFitter().fit([n for n, _ in lengths], [not cut for _, cut in lengths])
    survival = curve.survival_function_.iloc[:, 0]
    low = survival[survival <= 1 - share + 1e-9]
    assert found == (None if low.empty else float(low.index[0]))


def test_lengths_are_by_choice() -> None:
    """Four choices of 400 tokens in all are answers of 100."""
    assert length_holding([record(output_tokens=400, n=4)], 0.99) == 100.0


@pytest.mark.parametrize("count", [0, 1])
def test_all_cut_answers_leave_the_length_open(count: int) -> None:
    """No number is made up."""
    assert length_holding([record(truncated=True)] * count, 0.99) is None
