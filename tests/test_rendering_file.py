from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from budget_proxy.analytics.rendering.file import replace


@contextmanager
def small_files() -> Iterator[None]:
    """The system lets no file grow beyond 1,000 bytes; nor one that pytest's output goes to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    """The old text is whole, and no draft is left."""
    file = tmp_path / "told.md"
    replace(file, "old")
    with small_files(), pytest.raises(OSError, match="too large"):
        replace(file, "new" * 1_000)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_one(tmp_path: Path) -> None:
    """What it leads to is replaced."""
    file, link = tmp_path / "real.md", tmp_path / "link.md"
    file.write_text("old")
    link.symlink_to(file)
    replace(link, "new")
    assert (link.is_symlink(), file.read_text()) == (True, "new")


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """And is a pipe afterwards, for whoever reads from it next."""
    pipe = tmp_path / "pipe.md"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    replace(pipe, "text")
    reader.join(10)
    assert (read, pipe.is_fifo()) == (["text"], True)


def test_a_directory_is_an_error_that_says_so(tmp_path: Path) -> None:
    """Nothing in it is touched."""
    with pytest.raises(IsADirectoryError):
        replace(tmp_path, "text")
    assert list(tmp_path.iterdir()) == []
