from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.ridge import Texts

WORDS = np.arange(200, dtype=np.uint16)


def _texts(draw: np.random.Generator, count: int) -> list[np.ndarray]:
    return [np.sort(draw.choice(WORDS, 12, replace=False)) for _ in range(count)]


def test_a_word_that_lengthens_answers_is_found() -> None:
    """Texts with word 7 are 1 longer: a new text with it is forecast longer than one without."""
    draw = np.random.default_rng(5)
    texts = _texts(draw, 1500)
    rests = np.array([1.0 if 7 in text else 0.0 for text in texts]) + draw.normal(0, 0.2, 1500)
    ridge = Texts(texts).fit(rests - rests.mean())
    new = _texts(draw, 200)
    found = np.array([ridge.predict(text) for text in new])
    has = np.array([7 in text for text in new])
    assert found[has].mean() - found[~has].mean() == pytest.approx(1.0, abs=0.25)


def test_noise_teaches_little_and_no_words_nothing() -> None:
    """Rests that no word explains give new texts a forecast near 0; an empty text has 0."""
    draw = np.random.default_rng(6)
    ridge = Texts(_texts(draw, 1500)).fit(draw.normal(0, 1.0, 1500))
    assert np.std([ridge.predict(text) for text in _texts(draw, 100)]) < 0.5
    assert ridge.predict(np.zeros(0, np.uint16)) == 0.0


def test_only_the_texts_of_the_given_rests_are_fitted() -> None:
    """A fit of the first n knows nothing of the texts after them."""
    draw = np.random.default_rng(7)
    texts = _texts(draw, 400)
    rests = draw.normal(0, 1.0, 200)
    first, whole = Texts(texts[:200]).fit(rests), Texts(texts).fit(rests)
    assert first.predict(texts[300]) == whole.predict(texts[300]) != 0.0


def test_texts_without_words_change_nothing_that_others_tell() -> None:
    """Every second text is empty, wherever it stands: word 7 is found; of empty ones, nothing."""
    draw = np.random.default_rng(8)
    told, none = _texts(draw, 1500), np.zeros(0, np.uint16)
    texts = [text for one in told for text in (none, one)] + [none]
    rests = np.array([1.0 if 7 in text else 0.0 for text in texts]) + draw.normal(0, 0.2, 3001)
    ridge = Texts(texts).fit(rests)
    new = _texts(draw, 200)
    found = np.array([ridge.predict(text) for text in new])
    has = np.array([7 in text for text in new])
    assert found[has].mean() - found[~has].mean() == pytest.approx(1.0, abs=0.25)
    assert Texts([none, none]).fit(np.ones(2)).predict(new[0]) == 0.0
