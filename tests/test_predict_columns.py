from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.columns import Columns
from tests.cases import case, outcome


def _filled(window: int, count: int) -> Columns:
    columns = Columns(window)
    for number in range(count):
        one = case(prompt=number + 1, words=(number, number + 1), input_tokens=number)
        columns.add(one, outcome(number + 1, censored=number % 2 == 0, reasoning=number))
    return columns


def test_what_went_in_comes_out_again() -> None:
    """Cases and outcomes are the same to the bit, from the oldest to the newest."""
    rows = list(_filled(1000, 300).newest(300).rows())
    assert len(rows) == 300
    for number, (found, came) in enumerate(rows):
        put = case(prompt=number + 1, words=(number, number + 1), input_tokens=number)
        assert found[:4] == put[:4]
        assert (found.numbers == put.numbers).all()
        assert found.grams.tolist() == [number, number + 1]
        assert came == outcome(number + 1, censored=number % 2 == 0, reasoning=number)


def test_the_newest_are_kept_in_order() -> None:
    """Of 250 outcomes in a window of 100, the last 100; a copy of 30 has the last 30."""
    columns = _filled(100, 250)
    assert [came.tokens for _, came in columns.newest(999).rows()] == list(range(151, 251))
    copy = columns.newest(30)
    columns.add(case(), outcome(9999))
    assert [came.tokens for _, came in copy.rows()] == list(range(221, 251))
    assert list(columns.between(251, 300).rows()) == []


def test_signals_numbers_survive_being_halved() -> None:
    """Numbers come as half floats, and are stored as such without loss."""
    numbers = np.array([0.1, 2.5, -3.25], np.float16).astype(np.float32)
    columns = Columns(10)
    plain = case()
    whole = np.zeros_like(plain.numbers)
    whole[:3] = numbers
    columns.add(plain._replace(numbers=whole), outcome(5))
    ((found, _),) = columns.newest(1).rows()
    assert found.numbers.tolist() == whole.tolist()


@pytest.mark.parametrize("window", [5, 1000, 1024, 2500])
def test_any_part_is_found_across_blocks(window: int) -> None:
    """Numbers count from the first outcome ever; what is no longer kept is left out."""
    columns = _filled(window, 5000)
    oldest = 5000 - window
    assert len(columns) == window
    for start, stop in ((0, 5000), (oldest + 1, oldest + 3), (4090, 4110), (4999, 9000), (7, 3)):
        found = columns.between(start, stop)
        wanted = list(range(max(start, oldest) + 1, min(stop, 5000) + 1))
        assert [came.tokens for _, came in found.rows()] == wanted
        assert len(found) == len(wanted)


def test_what_was_taken_stays_as_it_was() -> None:
    """Rows are shared, not copied; those that are added later, and let go of, change none."""
    columns = _filled(100, 150)
    taken = columns.newest(100)
    for number in range(3000):
        columns.add(case(), outcome(number))
    assert [came.tokens for _, came in taken.rows()] == list(range(51, 151))
    assert len(columns._blocks) <= 3


def test_rows_from_a_place_on_and_whether_any_was_cut() -> None:
    """Over the end of a block too."""
    columns = _filled(3000, 2100)
    later = columns.newest(2100)
    assert [came.tokens for _, came in later.rows(2097)] == [2098, 2099, 2100]
    assert [came.tokens for _, came in later.rows(1023)][:2] == [1024, 1025]
    assert list(later.rows(2100)) == []
    assert later.cut()
    assert not columns.between(1023, 1024).cut()
    assert columns.between(1023, 1025).cut()
