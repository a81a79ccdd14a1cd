from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.predict.input_ratio import InputRatio


def test_before_history_four_characters_make_a_token() -> None:
    """An unknown model gets 4 characters per token, rounded up, and 1,000 tokens an image."""
    ratio = InputRatio()
    assert [ratio.estimate("m", chars) for chars in (0, 1, 4, 401)] == [0, 1, 1, 101]
    assert ratio.estimate("m", 400, images=2) == 2100


def test_the_first_observation_counts_as_much_as_the_start() -> None:
    """One count of 1 character per token moves the ratio to the geometric mean with 4."""
    ratio = InputRatio()
    ratio.learn("m", 500, 500)
    assert ratio.ratio("m") == pytest.approx(2.0)  # sqrt(4 * 1)
    assert ratio.ratio("other") == pytest.approx(4.0)


def test_a_model_is_learned_and_a_change_followed() -> None:
    """Sixty counts at 3 characters a token are learned, and sixty at 2 after them as well."""
    ratio = InputRatio()
    for _ in range(60):
        ratio.learn("m", 3000, 1000)
    assert ratio.estimate("m", 3000) == pytest.approx(1000, rel=0.02)
    for _ in range(60):
        ratio.learn("m", 2000, 1000)
    assert ratio.estimate("m", 2000) == pytest.approx(1000, rel=0.02)


def test_images_are_taken_off_before_the_text_is_learned() -> None:
    """A count of 1,500 tokens with one image says 500 tokens of text."""
    ratio = InputRatio()
    ratio.learn("m", 500, 1500, images=1)
    assert ratio.ratio("m") == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("chars", "tokens", "images"), [(0, 10, 0), (100, 0, 0), (100, None, 0), (100, 900, 1)]
)
def test_a_count_without_text_changes_nothing(chars: int, tokens: int | None, images: int) -> None:
    """No characters, no tokens, or all of them the image's: nothing to learn from."""
    ratio = InputRatio()
    ratio.learn("m", chars, tokens, images)
    assert ratio.ratio("m") == pytest.approx(4.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)), max_size=30))
def test_the_ratio_stays_within_its_bounds(counts: list[tuple[int, int]]) -> None:
    """Whatever is reported, the ratio stays between 0.5 and 16 characters per token."""
    ratio = InputRatio()
    for chars, tokens in counts:
        ratio.learn("m", chars, tokens)
    assert 0.5 <= ratio.ratio("m") <= 16.0


def test_only_so_many_models_are_remembered() -> None:
    """Of more than 1,024 models the one that learned longest ago is forgotten."""
    ratio = InputRatio()
    for number in range(1025):
        ratio.learn(f"m{number}", 100, 100)
    assert ratio.ratio("m0") == pytest.approx(4.0)
    assert ratio.ratio("m1") == pytest.approx(2.0)
