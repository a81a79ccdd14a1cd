from __future__ import annotations

import math

import numpy as np
import pytest

from budget_proxy.predict import network, prior
from budget_proxy.predict.histogram import BINS, EDGES, Histogram, quantiles
from budget_proxy.predict.mixture import Mixture, log_quantiles

PRIOR = -np.diff(prior.survival(EDGES))
LEVELS = np.array((0.1, 0.5, 0.9, 0.99))
CHAIN = (1, 2, 3)


def _mixture(memory: float = 300.0, most: int = 4096) -> Mixture:
    return Mixture(PRIOR, depth=3, strength=5.0, memory=memory, most=most)


def _tokens(mixture: Mixture, *chains: tuple[int, ...]) -> np.ndarray:
    found = mixture.distributions([mixture.find(chain) for chain in chains])
    return np.exp(log_quantiles(found, LEVELS))


def test_a_chain_forecasts_as_histograms_that_back_off_one_to_another() -> None:
    """Without cuts it is what three nested Histograms give, to rounding, for several calls too."""
    draw = np.random.default_rng(1)
    mixture, own = _mixture(), {key: Histogram(300.0) for key in (1, 2, 3, 4)}
    for number in range(200):
        chain = (1, 2, 3 + number % 2)
        length = int(draw.lognormal(5 + number % 2, 0.8))
        mixture.add([chain], [length])
        for key in chain:
            own[key].add(length, censored=False)
    for leaf in (3, 4):
        survival = prior.survival(EDGES)
        for key in (1, 2, leaf):
            survival = own[key].survival(survival, 5.0)
        assert _tokens(mixture, (1, 2, leaf))[0] == pytest.approx(quantiles(survival, LEVELS))
    both = _tokens(mixture, (1, 2, 3), (1, 2, 4))
    assert both[0] == pytest.approx(_tokens(mixture, (1, 2, 3))[0])
    assert both[1] == pytest.approx(_tokens(mixture, (1, 2, 4))[0])


def test_without_outcomes_it_is_the_prior() -> None:
    """Unknown keys, and the key 0, have the prior's quantiles."""
    found = _tokens(_mixture(), (0, 8, 9))[0]
    assert found == pytest.approx([prior.quantile(level) for level in LEVELS], rel=0.05)


def test_what_lies_beyond_a_cut_comes_from_those_that_were_not_cut() -> None:
    """Half of the lengths cut at 300, spread beyond: the upper quantiles are those of all."""
    draw = np.random.default_rng(2)
    mixture = _mixture(memory=10_000.0)
    lengths = draw.lognormal(5.0, 1.0, 4000)
    for number, length in enumerate(lengths):
        if number % 2 and length > 300:
            mixture.add_spread(CHAIN, mixture.beyond(CHAIN, 300))
        else:
            mixture.add([CHAIN], [length])
    assert _tokens(mixture, CHAIN)[0] == pytest.approx(np.quantile(lengths, LEVELS), rel=0.15)


def test_beyond_the_longest_there_is_still_somewhere() -> None:
    """The distribution beyond any length adds up to 1 and has nothing below it."""
    tail = _mixture().beyond(CHAIN, 1e12)
    assert tail.sum() == pytest.approx(1.0)
    assert not tail[: BINS - 1].any()


def test_counts_and_ages_are_told() -> None:
    """Three outcomes, the newest two others ago."""
    mixture = _mixture()
    for key in (3, 3, 3, 4, 4):
        mixture.add([(1, 2, key)], [100])
    *_, row = mixture.find((1, 2, 3))
    assert (mixture.count(row), mixture.age(row)) == (3, 2)


def test_what_is_kept_of_one_chain_is_what_all_chains_are_told() -> None:
    """To the bit, and forgotten with every outcome, also one of another leaf or a spread one."""
    mixture, chains = _mixture(most=8), [(1, 2, 3), (1, 2, 4), (1, 5, 0)]

    def check() -> None:
        found = mixture.distributions([mixture.find(chain) for chain in chains])
        told = [mixture.quantiles(chain) for chain in chains]
        expected = [log_quantiles(found[at : at + 1], np.array(network.LEVELS)) for at in range(3)]
        assert np.array(told).tolist() == np.concatenate(expected).tolist()

    check()
    for number in range(40):
        mixture.add([(1, 2, 4 + number % 7)], [10.0 + 31 * number])
        check()
    before = mixture.quantiles(CHAIN)
    mixture.add_spread((1, 2, 4), mixture.beyond(CHAIN, 900))
    assert mixture.quantiles(CHAIN) != before
    check()


def test_groups_are_bounded_and_a_reused_row_is_empty() -> None:
    """With room for 8 groups the oldest leaves; who takes its row starts from its parent."""
    mixture = _mixture(most=8)
    for key in range(10, 40):
        mixture.add([(1, 2, key)], [5])
    assert mixture.find((1, 2, 10))[2] == 0
    mixture.add([(1, 2, 99)], [5000])
    assert mixture.count(mixture.find((1, 2, 99))[2]) == 1


def test_endless_growth_of_weights_is_rescaled() -> None:
    """Thousands of outcomes of a short memory leave finite numbers, and the newest count."""
    mixture = _mixture(memory=2.0)
    for number in range(1000):
        mixture.add([CHAIN], [10 if number < 990 else 1000])
    found = _tokens(mixture, CHAIN)[0]
    assert math.isfinite(found.sum())
    assert found[2] == pytest.approx(1000, rel=0.3)


@pytest.mark.parametrize(("most", "memory"), [(4096, 300.0), (8, 300.0), (4096, 1.001)])
def test_counted_together_is_counted_one_by_one(most: int, memory: float) -> None:
    """Also where groups have to go meanwhile and where weights are rescaled."""
    draw = np.random.default_rng(4)
    together, apart = _mixture(memory, most), _mixture(memory, most)
    chains = [(1, 2 + number % 2, int(draw.integers(10, 22))) for number in range(320)]
    lengths = draw.lognormal(5.0, 1.0, 320).tolist()
    for at in range(0, 320, 16):
        together.add(chains[at : at + 16], lengths[at : at + 16])
    for chain, length in zip(chains, lengths, strict=True):
        apart.add([chain], [length])
    every = [(1, 2 + leaf % 2, leaf) for leaf in range(10, 22)]
    assert _tokens(together, *every) == pytest.approx(_tokens(apart, *every))
    for chain in every:
        assert [together.count(row) for row in together.find(chain)] == [
            apart.count(row) for row in apart.find(chain)
        ]
