"""What every format does alike. A new format joins by its rows in SAMPLES."""

from __future__ import annotations

from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.cli.imported import imported
from budget_proxy.store.imports import FORMATS
from budget_proxy.store.imports.inspection import Inspection
from budget_proxy.store.imports.spool import Spool
from budget_proxy.store.source import Source
from budget_proxy.wire.prices import LISTED
from tests.exported import FOLDER, Told
from tests.makers import NOW, SALT

OWN: Final[list[dict[str, Any]]] = [
    {
        "ts": NOW, "model": "m", "messages": [{"role": "user", "content": "hi"}], "agent": "a",
        "input_tokens": 5, "output_tokens": 7, "max_tokens": 9, "session": "s", "id": "i",
    }
]  # fmt: skip


def sample(name: str) -> list[dict[str, Any]]:
    """The rows of an export."""
    return [row for _, row in Source(FOLDER / name).rows(lambda *_: None)]


SAMPLES: Final = {
    "recorded": OWN,
    "litellm": sample("litellm.csv") + sample("litellm.jsonl"),
    "langfuse": sample("langfuse_observations_v2.jsonl") + sample("langfuse_api.json"),
    "openai-usage": sample("openai_usage.json") + sample("openai_usage.csv"),
    "claude-code": sample("claude_code.jsonl"),
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["{", "[]", '{"a": 1}', "2026-01-01", "-1", "1e99", "user", "text"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "type", "text", "usage", "id", "model", "input"]), inner
    ),
    max_leaves=6,
)  # fmt: skip


def test_every_format_has_samples() -> None:
    """So that what follows is claimed of it too."""
    assert list(SAMPLES) == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_recognises_its_own_rows_alone(name: str) -> None:
    """Each of its samples, and of others' none."""
    recognises = FORMATS[name].recognises
    assert all(map(recognises, SAMPLES[name]))
    others = [row for other, rows in SAMPLES.items() if other != name for row in rows]
    assert not any(map(recognises, others))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_row_is_taken_or_told(name: str, data: st.DataObject) -> None:
    """A field of another kind is no reason to fall over, and what is taken can be stored."""
    rows = []
    for row in data.draw(st.lists(st.sampled_from(SAMPLES[name]), min_size=1, max_size=4)):
        odd = data.draw(st.dictionaries(st.sampled_from(sorted(row)), anything, max_size=3))
        changed = {**row, **odd}
        message = changed.get("message")
        if isinstance(message, dict) and message:
            inner = st.dictionaries(st.sampled_from(sorted(message)), anything, max_size=3)
            changed["message"] = {**message, **data.draw(inner)}
        try:
            rows.append(orjson.loads(orjson.dumps(changed)))  # as a file would hold it
        except TypeError:  # numbers beyond 64 bits
            continue
    assert all(one.recognises(row) in {True, False} for one in FORMATS.values() for row in rows)
    told = Told()
    inspection = Inspection(NOW, lambda _: None)
    with Spool() as spool:
        for number, call in FORMATS[name].calls(enumerate(rows, 1), told):
            if inspection.fault(call) is None:
                inspection.look(call, f"row {number}")
                spool.put(imported(call, SALT, LISTED, source=name))
        assert len(list(spool.ordered())) == len(spool)
