from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.cli.output import whole
from budget_proxy.cli.plot import plot

VALUES = st.lists(st.none() | st.floats(-1e9, 1e9), min_size=1, max_size=200)


def test_bars_stand_on_zero_and_points_where_they_lie() -> None:
    """Four rows for 0 to 4: bars of 4 and 2, no value, then a point at 3 in its band 2 to 4."""
    text = plot(
        [4.0, 2.0, None, 3.0], ["a", "b", "c", "d"], whole,
        bands=[None, None, None, (2.0, 3.9)], bars=[True, True, False, False], width=7, height=6,
    )  # fmt: skip
    assert text.splitlines() == [
        "4 ┤█  •",
        "  ┤█  ░",
        "  ┤██",
        "0 ┤██",
        "  └────",
        "   a  d",
    ]


def test_a_level_is_drawn_across_and_belongs_to_the_scale() -> None:
    """A limit of 8 over bars of 2 and 4: the axis reaches 8, and the line stands on its row."""
    lines = plot([2.0, 4.0], ["a", "b"], whole, bars=True, level=8.0, width=5, height=6).split("\n")
    assert lines[0] == "8 ┤┄┄"
    assert lines[2:4] == ["  ┤ █", "0 ┤██"]


def test_more_periods_than_places_are_summed_up() -> None:
    """Six values in three places: their means; of two bands the outermost edges."""
    text = plot(
        [1.0, 3.0, 2.0, 2.0, 0.0, 0.0], list("abcdef"), whole, bars=True, width=6, height=6,
        bands=[None, None, (2.0, 3.0), (1.0, 4.0), None, None],
    )  # fmt: skip
    assert text.splitlines()[:4] == ["4 ┤ ░", "  ┤ ░", "  ┤██", "0 ┤██"]


@given(VALUES, st.booleans(), st.booleans(), st.integers(20, 120))
def test_any_values_keep_to_the_width_and_to_ascii_where_asked(
    values: list[float | None], bars: bool, ascii_only: bool, width: int
) -> None:
    """Whatever they are, the lines fit, and there are as many as asked for."""
    if all(value is None for value in values):
        with pytest.raises(ValueError, match="needs a value"):
            plot(values, [""] * len(values), whole)
        return
    names = [str(number) for number in range(len(values))]
    text = plot(values, names, whole, bars=bars, width=width + 15, ascii_only=ascii_only)
    lines = text.splitlines()
    assert len(lines) == 12
    assert max(map(len, lines)) <= width + 15
    assert text.isascii() or not ascii_only


def test_each_value_needs_its_name() -> None:
    """Lengths that differ are a fault of the caller's."""
    with pytest.raises(ValueError, match="a name"):
        plot([1.0, 2.0], ["a"], whole)
