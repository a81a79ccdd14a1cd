"""The history learned again gives what the process that lived it had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from budget_proxy.predict.base import Fitting
from budget_proxy.training.arrays import packed
from budget_proxy.training.replay import replay
from budget_proxy.types import CallRecord, Features, Fit, Forecast, Observation
from tests.makers import forecast, record


@dataclass
class Sum:
    """What the toy fits: the sum of its window."""

    total: int
    position: int = 0

    def learn(self, later: list[int]) -> Iterator[None]:
        """Add what came later, told apart from the window's."""
        yield
        self.total = self.total * 1000 + sum(later)
        self.position += len(later)


@dataclass
class Window:
    """What the toy is fitted on."""

    lengths: list[int]
    position: int


@dataclass
class Toy:
    """Knows the sum that was fitted, and what came since its snapshot."""

    name: str = "toy"
    window: int = 2
    interval: int = 2
    lengths: list[int] = field(default_factory=list)
    fitted: int = 0

    def predict_one(self, features: Features) -> Forecast:
        """The same always."""
        del features
        return forecast()

    def learn_one(self, features: Features, observation: Observation, call_id: str = "") -> None:
        """Note the length."""
        del features, call_id
        self.lengths.append(observation.tokens)

    def behind(self) -> bool:
        """It puts nothing off."""
        return False

    def settle(self) -> None:
        """Nothing was put off."""

    def due(self) -> bool:
        """Every ``interval`` rows."""
        return len(self.lengths) % self.interval == 0

    def hold(self) -> None:
        """It learns nothing but lengths anyway."""

    def release(self) -> None:
        """Nothing was held back."""

    def snapshot(self) -> Window:
        """The window."""
        return Window(self.lengths[-self.window :], len(self.lengths))

    def since(self, fitted: Sum) -> list[int]:
        """What came since."""
        return self.lengths[fitted.position :]

    def adopt(self, fitted: Sum) -> Iterator[None]:
        """Take the sum, and add what came since."""
        for _ in fitted.learn(self.since(fitted)):
            pass
        self.fitted = fitted.total
        return iter(())


def refit(snapshot: Window) -> Sum:
    """Fit the toy."""
    return Sum(sum(snapshot.lengths), snapshot.position)


HOW = Fitting(refit, lambda: refit, (Sum,))


def rows(count: int) -> list[CallRecord]:
    """Rows of 1, 2, 3, ... tokens."""
    return [record(call_id=f"c{n}", output_tokens=n) for n in range(1, count + 1)]


def replayed(history: list[CallRecord], *fits: Fit) -> Toy:
    """A toy that learned a history."""
    toy = Toy()

    def learn(row: CallRecord) -> None:
        seen = Observation(row.output_tokens or 0, censored=False, ts=row.ts)
        toy.learn_one(Features(row.agent, row.model, "", None, row.ts), seen)  # type: ignore[arg-type]

    replay(history, fits, learn, toy, HOW)
    return toy


def fit(taken: str, effective: str, content: bytes = b"") -> Fit:
    """A fit between two rows."""
    return Fit("toy", (taken, 1), (effective, 1), ts=1.0, content=content)


def test_a_fit_is_in_force_from_where_it_was() -> None:
    """It rests on the rows up to its snapshot; those up to its adoption count as learned since."""
    toy = replayed(rows(6), fit("c3", "c5", packed(Sum(5, 103), (Sum,))))
    assert toy.fitted == 5_000 + 4 + 5
    assert toy.lengths == [1, 2, 3, 4, 5, 6]


def test_a_fit_whose_content_is_gone_is_made_again() -> None:
    """From the same rows, so that it comes out the same."""
    kept = replayed(rows(6), fit("c3", "c5", packed(Sum(2 + 3, 103), (Sum,))))
    assert replayed(rows(6), fit("c3", "c5")) == kept


def test_a_fit_from_before_the_rows_is_left_out() -> None:
    """Its window is not there; the next fit will be."""
    assert replayed(rows(6)[3:], fit("c3", "c5", packed(Sum(5, 103), (Sum,)))).fitted == 0


def test_a_fit_of_another_version_is_left_out() -> None:
    """What cannot be read changes nothing."""
    assert replayed(rows(6), fit("c3", "c5", b"old")).fitted == 0


def test_attempts_of_one_call_are_told_apart() -> None:
    """A fit taken after the second attempt does not count the first alone."""
    history = [record(call_id="c", attempt=n, output_tokens=n) for n in (1, 2, 3)]
    found = Fit("toy", ("c", 2), ("c", 3), ts=1.0)
    assert replayed(history, found).fitted == 3_000 + 3
