from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from budget_proxy.store.sqlite import SQLiteStore

HEAD = """
import os, sys, time
from budget_proxy.store import open_store
from budget_proxy.store.recorder import Recorder
from budget_proxy.types import CallRecord
recorder = Recorder(open_store(sys.argv[1]), on_fault=print, instance="i")
def put(name):
    recorder.put(CallRecord(ts=time.time(), api="a", model="m", call_id=name))
"""


@pytest.fixture
def history(tmp_path: Path) -> Iterator[SQLiteStore]:
    """A history in a file that other processes can write."""
    opened = SQLiteStore(tmp_path / "history.db")
    opened.migrate()
    yield opened
    opened.close()


def start(script: str, history: SQLiteStore) -> subprocess.Popen[bytes]:
    """Start a script with a recorder on the history."""
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + script, history.url], stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_process_loses_at_most_250_ms(history: SQLiteStore, attempt: int) -> None:
    """Killed at any moment: rows put 250 ms before are on disk, and the file is sound."""
    process = start(
        """
n = 0
while True:
    put(str(n))
    os.write(1, b"%d %.6f\\n" % (n, time.monotonic()))
    n += 1
    time.sleep(0.001)
""",
        history,
    )
    assert process.stdout is not None
    process.stdout.readline()  # it has begun
    time.sleep(0.5 + 0.5 * random.random())  # noqa: S311 (any moment will do)
    killed = time.monotonic()
    process.kill()
    printed = process.stdout.read()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    put = [line.split() for line in re.findall(rb"\d+ [\d.]+(?=\n)", printed)]
    due = {n.decode() for n, ts in put if float(ts) < killed - 0.25}
    assert len(due) > 50, attempt
    with history._connections.use() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = [row.call_id for row in history.recent(99_999)]
    assert due <= set(kept)
    assert kept == [str(n) for n in range(len(kept))]  # what is there has no holes
    assert history.append(history.recent(1))[0] == len(kept) + 1


def test_sigterm_flushes_and_still_ends_the_process(history: SQLiteStore) -> None:
    """Every row put before the signal is on disk, and the parent sees the signal as the cause."""
    process = start(
        """
from budget_proxy.store.sigterm import flush_on_sigterm
assert flush_on_sigterm() and flush_on_sigterm()
n = 0
while True:
    put(str(n))
    os.write(1, b"%d\\n" % n)
    n += 1
""",
        history,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.terminate()
    last = process.stdout.read().split()[-1]
    process.stdout.close()
    assert process.wait(10) == -signal.SIGTERM
    kept = [row.call_id for row in history.recent(999_999)]
    assert int(last) + 1 <= len(kept) <= int(last) + 2
    assert len(set(kept)) == len(kept)


def test_sigterm_goes_on_to_the_program_s_own_handler(history: SQLiteStore) -> None:
    """A handler that was there is called after the flush, and decides how the program ends."""
    process = start(
        """
import signal
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
from budget_proxy.store.sigterm import flush_on_sigterm
assert flush_on_sigterm()
put("kept")
os.write(1, b"ready\\n")
time.sleep(30)
""",
        history,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    process.stdout.close()
    assert process.wait(10) == 7
    assert [row.call_id for row in history.recent(9)] == ["kept"]


def test_sigterm_is_left_alone_where_it_is_not_ours(history: SQLiteStore) -> None:
    """An ignored signal stays ignored, and other threads than the main one change nothing."""
    process = start(
        """
import signal, threading
from budget_proxy.store.sigterm import flush_on_sigterm
answers = []
thread = threading.Thread(target=lambda: answers.append(flush_on_sigterm()))
thread.start()
thread.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
signal.signal(signal.SIGTERM, signal.SIG_IGN)
answers.append(flush_on_sigterm())
os.kill(os.getpid(), signal.SIGTERM)
print(answers)
""",
        history,
    )
    printed, _ = process.communicate(timeout=10)
    assert printed == b"[False, False]\n"
    assert process.returncode == os.EX_OK
