from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.types import Usage
from budget_proxy.wire.usage import Shape, estimated, extract, plus

CHAT = Shape("openai", "chat", "prompt_tokens", "completion_tokens")
MESSAGES = Shape("anthropic", "default", "input_tokens", "output_tokens")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ("12", None),
        ({"prompt_tokens": None, "completion_tokens": None}, None),
        ({"prompt_tokens": "5"}, None),
        ({"prompt_tokens": 5}, Usage(5, None)),
        ({"prompt_tokens": 5, "completion_tokens": -1}, Usage(5, None)),
        ({"prompt_tokens": True, "completion_tokens": 7}, Usage(None, 7)),
        ({"prompt_tokens": 5, "completion_tokens": 7}, Usage(5, 7)),
        ({"prompt_tokens": 5.0, "completion_tokens": 7.0}, Usage(5, 7)),
        (
            {"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": "odd"},
            Usage(5, 7),
        ),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": None},
            },
            Usage(5, 7, None, 0, None),
        ),
    ],
)
def test_extract(raw: Any, expected: Usage | None) -> None:
    """Known numbers are read, unknown ones stay None, and nothing raises."""
    assert extract(raw, CHAT) == expected


def test_model_is_no_part_of_it() -> None:
    """A model that no price table knows has usage all the same."""
    raw = {"prompt_tokens": 1, "completion_tokens": 2, "model": "mystery"}
    assert extract(raw, CHAT) == Usage(1, 2)


def test_cache_counts_as_input() -> None:
    """Anthropic's input excludes the cache, ours does not: 1 + 20 + 300."""
    raw = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "output_tokens": 4,
    }
    assert extract(raw, MESSAGES) == Usage(321, 4, None, 300, 20)


def test_plus() -> None:
    """Known numbers add up; what one side does not know comes from the other."""
    assert plus(Usage(1, 2, None, 4), Usage(10, None, 3, 5)) == Usage(11, 2, 3, 9, None)
    assert plus(Usage(1, 2), None) == Usage(1, 2)


@pytest.mark.parametrize(
    ("seen", "characters", "expected"),
    [
        (None, 0, None),
        (None, 1, Usage(None, 1)),
        (None, 8, Usage(None, 2)),
        (None, 9, Usage(None, 3)),
        (Usage(5, 7), 8, Usage(5, 7)),
        (Usage(5, 1), 8, Usage(5, 2)),
        (Usage(5, None, 3), 0, Usage(5, 0, 3)),
    ],
)
def test_estimated(seen: Usage | None, characters: int, expected: Usage | None) -> None:
    """Four characters are a token; a provider's own interim count is a lower bound."""
    assert estimated(seen, characters) == expected
