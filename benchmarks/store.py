"""What the history costs: queueing a row, and writing rows, beside sqlite3 alone.

    python benchmarks/store.py

The floor is the same rows by one ``executemany`` a batch into the same tables with the same
indexes, as values ready made. Both are measured in turns in the same run, best of 5.
"""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from budget_proxy.store import rows
from budget_proxy.store.recorder import Recorder
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord

ROUNDS = 5
BATCH = 500
BATCHES = 10


def usual(n: int) -> CallRecord:
    """A row with the usual fields given."""
    return CallRecord(
        ts=1_800_000_000.0 + n, api="openai.chat", model="gpt-5.4", call_id=uuid.uuid4().hex,
        agent=f"agent-{n % 7}", session=f"{n // 5:032x}", task_type="code_generation",
        complexity=41.7, domains=("backend",), input_tokens=1134, output_tokens=512 + n,
        q50=411.9, q75=633.1, q90=1020.4, q95=1377.7, q99=2893.2, target=512, recommended=724,
        reserve=1378, cap=4340, mode="enforce", strategy="quantile", confidence=0.63, support=240,
        reason="enforce: 240 outcomes of (agent-1, code_generation, gpt-5.4); cap 4340",
    )  # fmt: skip


def best(measure: Callable[[], float]) -> float:
    """The least of several rounds: noise only ever adds."""
    return min(measure() for _ in range(ROUNDS))


def queueing(store: SQLiteStore) -> float:
    """Seconds a row that a call spends in ``put``; the thread does not write meanwhile."""
    recorder = Recorder(store, on_fault=lambda *_: None, instance="i", interval=60.0)
    row = usual(0)
    recorder.put(row)

    def measure() -> float:
        start = perf_counter()
        for _ in range(2000):
            recorder.put(row)
        return (perf_counter() - start) / 2000

    seconds = best(measure)
    assert recorder.flush(30.0)
    assert recorder.dropped == 0
    return seconds


def appending(store: SQLiteStore, batches: list[list[CallRecord]]) -> float:
    """Seconds for ``append`` of all batches."""
    start = perf_counter()
    for batch in batches:
        store.append(batch)
    return perf_counter() - start


def floor(connection: sqlite3.Connection, batches: list[list[list[object]]]) -> float:
    """Seconds for the same values by sqlite3 alone."""
    columns, marks = ", ".join(rows.WRITTEN_COLUMNS), ", ".join("?" * len(rows.WRITTEN_COLUMNS))
    insert = f"INSERT INTO calls ({columns}) VALUES ({marks})"  # noqa: S608 (our own names)
    start = perf_counter()
    for batch in batches:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, batch)
        connection.execute("COMMIT")
    return perf_counter() - start


def main() -> None:
    """Measure and print."""
    batches = [[usual(n * BATCH + k) for k in range(BATCH)] for n in range(BATCHES)]
    values = [[rows.write_call(row) for row in batch] for batch in batches]
    with tempfile.TemporaryDirectory() as directory:
        ours = SQLiteStore(Path(directory) / "ours.db")
        theirs = SQLiteStore(Path(directory) / "floor.db")
        ours.migrate()
        theirs.migrate()
        print(f"put: {queueing(ours) * 1e6:.2f} us a row")
        connection = sqlite3.connect(theirs.path, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        pairs = [(appending(ours, batches), floor(connection, values)) for _ in range(ROUNDS)]
        mine, bare = (min(seconds) for seconds in zip(*pairs, strict=True))
        count = BATCH * BATCHES
        print(f"append, {BATCH} a batch: {count / mine:,.0f} rows/s")
        print(f"sqlite3 executemany alone: {count / bare:,.0f} rows/s")
        print(f"ratio: {mine / bare:.2f}")
        start = perf_counter()
        read = len(ours.recent(10_000))
        print(f"read for the replay: {(perf_counter() - start) / read * 1e6:.1f} us a row")
        connection.close()
        theirs.close()
        ours.close()


if __name__ == "__main__":
    main()
