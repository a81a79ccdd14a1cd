from __future__ import annotations

import logging
from pathlib import Path

import pytest

from budget_proxy.errors import StoreError
from budget_proxy.store import open_store
from tests.makers import record


@pytest.mark.parametrize("url", ["memory:", "sqlite:///:memory:"])
def test_memory_urls(url: str) -> None:
    """Both spellings open a history that needs no disk."""
    store = open_store(url)
    assert store.url == "memory:"
    assert store.append([record()]) == [1]


def test_absolute_and_relative_urls_name_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three slashes begin a relative path, four an absolute one; tables are there at once."""
    monkeypatch.chdir(tmp_path)
    relative = open_store("sqlite:///budget.db")
    relative.append([record(call_id="kept")])
    relative.close()
    absolute = open_store(f"sqlite:///{tmp_path}/budget.db")
    assert [row.call_id for row in absolute.recent(9)] == ["kept"]
    absolute.close()


@pytest.mark.parametrize(
    "url", ["", "budget.db", "sqlite:///", "mysql://host/db", "postgresql://h/d"]
)
def test_an_unknown_url_is_a_clear_error(url: str) -> None:
    """The error says which URLs are understood."""
    with pytest.raises(StoreError, match=r"sqlite:///relative/path\.db") as caught:
        open_store(url, fallback=True)
    assert repr(url) in str(caught.value)


def test_an_error_does_not_tell_a_password() -> None:
    """What stands before the host of a URL is left out."""
    with pytest.raises(StoreError) as caught:
        open_store("mysql://me:secret@host/db")
    assert "secret" not in str(caught.value)
    assert "host/db" in str(caught.value)


def test_a_disk_that_cannot_be_written_falls_back_to_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where that was allowed, with a warning that names the place; else it is an error."""
    with pytest.raises(StoreError):
        open_store("sqlite:////proc/nope/x.db")
    with caplog.at_level(logging.WARNING, logger="budget_proxy"):
        store = open_store("sqlite:////proc/nope/x.db", fallback=True)
    assert store.url == "memory:"
    assert store.append([record()]) == [1]
    (warning,) = caplog.records
    assert warning.name == "budget_proxy"
    assert "/proc/nope/x.db" in warning.getMessage()


def test_a_damaged_file_does_not_fall_back(tmp_path: Path) -> None:
    """A history that exists is never silently replaced by an empty one."""
    (tmp_path / "history.db").write_text("no database " * 400)
    with pytest.raises(StoreError, match="move it away"):
        open_store(f"sqlite:///{tmp_path}/history.db", fallback=True)
