from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.command_line import history
from tests.makers import NOW, record
from tests.watched import calls, numbered


def watched(*arguments: str) -> tuple[str, str]:
    """What a command prints on stdout, and on a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "budget_proxy", *arguments], stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    output, _ = done.communicate(timeout=60)
    assert done.returncode == 0, seen
    return output.decode(), seen.decode()


def test_an_import_shows_how_far_it_is(tmp_path: Path) -> None:
    """Reading and writing, on stderr; stdout is JSON and nothing else."""
    file = tmp_path / "calls.jsonl"
    file.write_text("".join(json.dumps({"ts": NOW, "output_tokens": n}) + "\n" for n in range(99)))
    url = f"sqlite:///{tmp_path / 'h.db'}"
    output, seen = watched("import", str(file), "--store", url, "--json")
    assert json.loads(output)["written"] == 98
    assert "Reading" in seen
    assert "Writing" in seen
    assert "100%" in seen


def test_a_compaction_shows_how_far_it_is(tmp_path: Path) -> None:
    """Folding, by the calls there are to fold."""
    rows = (record(ts=1e9 + number) for number in range(10_600))
    url = history(tmp_path / "h.db", *rows)
    output, seen = watched("history", "compact", "--store", url, "--older-than", "9d", "--json")
    assert json.loads(output)["folded"] == 600
    assert "Folding" in seen
    assert "100%" in seen


def test_a_look_that_takes_long_shows_how_far_it_is(tmp_path: Path) -> None:
    """Alerts, by the rows that nobody looked at yet."""
    url = history(tmp_path / "h.db", *numbered(calls(19_000)))
    output, seen = watched("alerts", "--store", url, "--json")
    assert json.loads(output)["rows"] == 19_000
    assert "Looking" in seen
    assert "100%" in seen


def test_a_look_that_takes_no_time_shows_nothing(tmp_path: Path) -> None:
    """A bar that is gone before it is read would only be in the way."""
    url = history(tmp_path / "h.db", *numbered(calls(50)))
    _output, seen = watched("alerts", "--store", url, "--json")
    assert seen == ""
