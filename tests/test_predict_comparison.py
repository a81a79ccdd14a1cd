from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from budget_proxy.predict.comparison import Length, compare, shuffled
from budget_proxy.predict.evaluate import Row, Scored, evaluate
from budget_proxy.predict.fixed import Fixed
from budget_proxy.predict.rolling import Rolling
from budget_proxy.types import Characteristics, Features

LENGTHS = [Length("m" if n % 2 else "k", 100 + n, n % 3 == 0, n) for n in range(40)]


def _row(index: int, tokens: int | None) -> Row:
    features = Features("a", "m", "question", Characteristics(), float(index))
    return Row(index, features, tokens, call_id=f"id{index}")


def test_lengths_are_permuted_within_their_model() -> None:
    """Every model keeps its own lengths with their cuts, most of them at other places."""
    moved = shuffled(LENGTHS)
    for model in ("m", "k"):
        before = [length for length in LENGTHS if length.model == model]
        after = [length for length in moved if length.model == model]
        assert after != before
        assert sorted(after, key=str) == sorted(before, key=str)
    assert [length.model for length in moved] == [length.model for length in LENGTHS]
    assert sum(one is other for one, other in zip(moved, LENGTHS, strict=True)) < 10


def test_the_permutation_is_always_the_same() -> None:
    """Two runs of a comparison have the same control."""
    assert shuffled(LENGTHS) == shuffled(list(LENGTHS))


def test_rows_without_a_length_keep_none() -> None:
    """Only what came back is permuted; what did not come back stays where it was."""
    lengths = [Length("m", None), *LENGTHS, Length("m", None)]
    moved = shuffled(lengths)
    assert [length.tokens is None for length in moved] == [True, *[False] * 40, True]


def test_each_predictor_is_scored_as_if_it_were_alone() -> None:
    """Side by side, forecasts are those of ``evaluate``; the control's are of its outcomes."""
    tokens = [50, 400, 90, 700, 20, 310]
    other = [Length("m", number) for number in reversed(tokens)]

    def rows() -> list[Row]:
        return [_row(*pair) for pair in enumerate(tokens)]

    def alone(its: list[Row]) -> list[Scored]:
        return list(evaluate(its, Rolling(), lambda: 0.0))

    found = list(compare(rows(), [Rolling(), Fixed(7)], Rolling(), other, lambda: 0.0))
    assert [scored[0] for scored in found] == alone(rows())
    assert {scored[1].forecast.recommended for scored in found} == {7}
    assert [scored[2] for scored in found] == alone(
        [_row(*pair) for pair in enumerate(reversed(tokens))]
    )


def test_no_row_is_read_before_the_last_was_learned_by_all() -> None:
    """The rows come one by one, so that what a row costs to make may rest on those before it."""
    read: list[int] = []

    def rows() -> Iterator[Row]:
        for index in range(3):
            read.append(index)
            yield _row(index, 10)

    lengths = [Length("m", 10)] * 3
    runs = compare(rows(), [Fixed(1), Fixed(2)], Fixed(3), lengths, lambda: 0.0)
    for index in range(3):
        assert [scored.row.index for scored in next(runs)] == [index] * 3
        assert read == list(range(index + 1))


def test_the_control_knows_nothing_of_the_true_outcome() -> None:
    """Tokens, cut and reasoning of a row all come from the other call."""
    row = replace(_row(0, 900), censored=True, reasoning=800)
    ((_, control),) = compare([row], [Fixed(1)], Fixed(2), [Length("m", 50, False, 7)], lambda: 0.0)
    assert control.row == replace(row, tokens=50, censored=False, reasoning=7)
