from __future__ import annotations

from typing import Any

import pytest
from genai_prices import extract_usage
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.types import Usage
from budget_proxy.wire.usage import Shape, _pruned, estimated, extract, plus

CHAT = Shape("openai", "chat", "prompt_tokens", "completion_tokens")
RESPONSES = Shape("openai", "responses", "input_tokens", "output_tokens")
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


COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(-1, 1_000), st.none(), st.just("odd"), st.just(2.0), st.just({})
)
DETAILS = st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "cache_write_tokens", "audio_tokens", "reasoning_tokens",
         "ephemeral_5m_input_tokens", "thinking_tokens", "web_search_requests"]
    ),
    COUNTS,
)  # fmt: skip
RAW = st.dictionaries(
    st.sampled_from(
        ["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens",
         "cache_read_input_tokens", "cache_creation_input_tokens", "prompt_tokens_details",
         "completion_tokens_details", "input_tokens_details", "output_tokens_details",
         "cache_creation", "server_tool_use"]
    ),
    st.one_of(COUNTS, st.integers(0, 1_000), DETAILS),
    min_size=2,
)  # fmt: skip


@given(raw=RAW, shape=st.sampled_from([CHAT, MESSAGES, RESPONSES]))
def test_reads_what_the_library_reads(raw: dict[str, Any], shape: Shape) -> None:
    """Whatever a usage object holds, our reading finds the numbers that genai-prices finds."""
    try:
        found = vars(
            extract_usage(
                {"usage": _pruned(raw)}, provider_id=shape.provider, api_flavor=shape.flavor
            ).usage
        )
    except ValueError:
        return
    read = extract(raw, shape)
    assert read is not None
    assert read.input_tokens == found.get("input_tokens")
    assert read.output_tokens == found.get("output_tokens")
    assert read.reasoning_tokens == found.get("output_reasoning_tokens")
    assert read.cache_read_tokens == found.get("cache_read_tokens")
    assert read.cache_write_tokens == found.get("cache_write_tokens")
