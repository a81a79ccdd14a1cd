"""What a row adds to the sums, in SQL as in Python: on random rows, odd ones among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budget_proxy.store.measures import sums_of
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.store.sums import KEYS, merged
from budget_proxy.types import CallRecord
from tests.makers import NOW, record
from tests.test_store_contract import alike

_NAMES = count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteStore]:
    """One history for all examples, each under an agent of its own."""
    made = SQLiteStore(tmp_path_factory.mktemp("sums") / "history.db")
    made.migrate()
    yield made
    made.close()


TOKENS = st.none() | st.integers(0, 3000)
SOME = st.none() | st.sampled_from([0.0, 0.5, 100.0, 500.0, 2000.0])
ROWS = st.builds(
    record,
    ts=st.floats(-9.0, 9e5).map(NOW.__add__) | st.sampled_from([-5.0, 0.0, 1e13]),
    call_id=st.sampled_from("abc"),
    attempt=st.integers(1, 3),
    api=st.sampled_from(["openai.chat", "task"]),
    model=st.sampled_from("xy"),
    arm=st.sampled_from(["treatment", "holdout"]),
    mode=st.sampled_from(["observe", "guide", "enforce"]),
    n=st.integers(0, 3),
    finish_reason=st.sampled_from(["stop", "length", "error", "cancelled", "tool_calls"]),
    exact=st.booleans(),
    truncated=st.booleans(),
    cut_by_us=st.booleans(),
    pending=st.booleans(),
    input_tokens=TOKENS,
    output_tokens=TOKENS,
    reasoning_tokens=TOKENS,
    cache_read_tokens=TOKENS,
    cache_write_tokens=TOKENS,
    recommended=TOKENS,
    reserve=TOKENS,
    ceiling=TOKENS,
    cost=st.none() | st.floats(0, 9),
    seconds=st.none() | st.floats(0, 9),
    score=st.none() | st.floats(-1, 1),
    confidence=st.none() | st.floats(0, 1),
    strategy=st.sampled_from(["learned", "quantile", "heuristic", "import"]),
    guidance=st.none() | st.just("g"),
    guidance_tokens=st.integers(0, 60),
    q50=SOME,
    q75=SOME,
    q90=SOME,
    q95=SOME,
    q99=SOME,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROWS, max_size=25), st.booleans())
def test_sql_and_python_define_the_same_sums(
    store: SQLiteStore, rows: list[CallRecord], asked_between: bool
) -> None:
    """Every one of them; whether they were kept as the rows came, or all at once."""
    agent = f"agent {next(_NAMES)}"
    rows = [replace(row, agent=agent, call_id=f"{agent} {row.call_id}", id=None) for row in rows]
    for part in (rows[:9], rows[9:]):
        store.append(part)
        if asked_between:
            store.sums(agent=agent)
    found = store.sums(by=KEYS, agent=agent)
    expected = merged(sums_of(rows), KEYS)
    assert [sums.group for sums in found] == [sums.group for sums in expected]
    for one, other in zip(found, expected, strict=True):
        assert alike(one, other)
