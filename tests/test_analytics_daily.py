from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time as clock
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from budget_proxy.analytics.daily import KEPT, DailyReports
from budget_proxy.assemble import Engine
from budget_proxy.errors import StoreError
from budget_proxy.proxy.app import create_app
from budget_proxy.store import open_store
from budget_proxy.store.base import Store
from budget_proxy.store.memory import MemoryStore
from tests.command_line import answered

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = date(2026, 11, 27)


def at(day: date, hour: int, minute: int = 0) -> float:
    """A local time in Berlin, in Unix seconds."""
    return datetime.combine(day, time(hour, minute), BERLIN).timestamp()


class Clock:
    """A clock that stands where a test puts it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


def daily(
    store: Store,
    directory: Path,
    now: Callable[[], float],
    faults: list[tuple[str, Exception]] | None = None,
) -> DailyReports:
    """Daily reports due at seven in the morning of Berlin."""
    return DailyReports(
        store, at=time(7), zone=BERLIN, directory=directory, now=now,
        on_fault=lambda *fault: (faults if faults is not None else []).append(fault),
    )  # fmt: skip


def names(directory: Path) -> list[str]:
    """The files in a folder, by name."""
    return sorted(path.name for path in directory.iterdir())


def test_a_day_is_reported_at_its_hour_once(tmp_path: Path) -> None:
    """Not at 06:59, then as HTML and as Markdown, and never again; the next day comes next."""
    store, now = MemoryStore(), Clock(at(TODAY, 6, 59))
    store.meta("report_day", "2026-11-25")
    store.append(
        [
            answered(1, ts=at(TODAY, 0) - 1),
            answered(2, ts=at(TODAY, 0) - 86_400),
            answered(3, ts=at(TODAY, 0)),
        ]
    )
    reports = daily(store, tmp_path, now)
    assert reports.look() == []
    now.now = at(TODAY, 7)
    assert reports.look() == [date(2026, 11, 26)]
    assert names(tmp_path) == ["report-2026-11-26.html", "report-2026-11-26.md"]
    text = (tmp_path / "report-2026-11-26.md").read_text()
    assert "2 (2 attempts, 0 failed)" in text  # from midnight to midnight in Berlin
    assert "2026-11-26 00:00 to 2026-11-27 00:00 Europe/Berlin" in text
    (tmp_path / "report-2026-11-26.html").unlink()
    assert reports.look() == []
    assert daily(store, tmp_path, now).look() == []  # another process, or the next start
    assert names(tmp_path) == ["report-2026-11-26.md"]
    now.now = at(TODAY + timedelta(days=1), 7)
    assert reports.look() == [TODAY]


def test_the_first_report_is_of_the_newest_day_that_is_due(tmp_path: Path) -> None:
    """A long history does not begin with a year of reports."""
    store = MemoryStore()
    store.append([answered(1, ts=at(TODAY, 0) - 90 * 86_400)])
    assert daily(store, tmp_path, Clock(at(TODAY, 12))).look() == [date(2026, 11, 26)]


def test_missed_days_are_made_up_for(tmp_path: Path) -> None:
    """Five days of silence: five reports at the next start, each of its own day, once."""
    store = MemoryStore()
    store.append([answered(n, ts=at(TODAY, 12) - n * 86_400) for n in range(1, 9)])
    store.meta("report_day", "2026-11-21")
    now = Clock(at(TODAY, 12))
    found = daily(store, tmp_path, now).look()
    assert found == [date(2026, 11, day) for day in (22, 23, 24, 25, 26)]
    assert all(
        "1 (1 attempts, 0 failed)" in (tmp_path / f"report-{day}.md").read_text() for day in found
    )
    assert daily(store, tmp_path, now).look() == []


def test_no_more_than_a_month_is_made_up_for_or_kept(tmp_path: Path) -> None:
    """The newest 31 days stay, and files that are not ours."""
    store, others = MemoryStore(), ["notes.md", "report-2020-01-01.pdf", "report-old.html"]
    for name in (*others, "report-2020-01-01.html", "report-2020-01-01.md"):
        (tmp_path / name).write_text("kept?")
    store.meta("report_day", "2020-01-01")
    found = daily(store, tmp_path, Clock(at(TODAY, 12))).look()
    assert (len(found), found[-1]) == (KEPT, date(2026, 11, 26))
    assert len(names(tmp_path)) == 2 * KEPT + len(others)
    assert set(others) < set(names(tmp_path))


def test_of_many_threads_one_writes(tmp_path: Path) -> None:
    """Eight at once on one history: each day is written by one of them."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    with Engine.open(url) as engine:
        engine.store.meta("report_day", "2026-11-23")
        done: list[date] = []
        now, gate = Clock(at(TODAY, 8)), threading.Barrier(8)

        def work() -> None:
            reports = daily(engine.store, tmp_path / "reports", now)
            gate.wait()
            done.extend(reports.look())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(done) == [date(2026, 11, day) for day in (24, 25, 26)]
    assert len(names(tmp_path / "reports")) == 6


def look_in_a_process(url: str, directory: Path, results: multiprocessing.Queue[int]) -> None:
    """What one worker of several does; tells how many days it wrote."""
    store = open_store(url)
    results.put(len(daily(store, directory, Clock(at(TODAY, 8))).look()))
    store.close()


def test_of_many_processes_one_writes(tmp_path: Path) -> None:
    """Three workers on one file."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    open_store(url).close()
    spawn = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[int] = spawn.Queue()
    workers = [
        spawn.Process(target=look_in_a_process, args=(url, tmp_path / "reports", results))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    counts = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert counts == [0, 0, 1]


def test_who_stopped_half_way_is_taken_over_from(tmp_path: Path) -> None:
    """After ten minutes; until then the day is left to whoever claimed it."""
    store, start = MemoryStore(), at(TODAY, 7)
    store.meta("report_day", f"2026-11-25 2026-11-26 {start + 600:.0f}")
    now = Clock(start + 599)
    reports = daily(store, tmp_path, now)
    assert reports.look() == []
    now.now = start + 600
    assert reports.look() == [date(2026, 11, 26)]


def test_a_folder_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    """Named, with the reason; ten minutes later it may be there."""
    store, now = MemoryStore(), Clock(at(TODAY, 7))
    place = tmp_path / "reports"
    place.write_text("a file where a folder should be")
    faults: list[tuple[str, Exception]] = []
    reports = daily(store, place, now, faults)
    assert reports.look() == []
    ((stage, error),) = faults
    assert stage == "report"
    assert isinstance(error, StoreError)
    assert f"no report can be written to {place}: File exists" in str(error)
    place.unlink()
    now.now += 600
    assert reports.look() == [date(2026, 11, 26)]


def test_days_of_25_hours_are_whole(tmp_path: Path) -> None:
    """25 October 2026 in Berlin: the clocks are set back."""
    store, day = MemoryStore(), date(2026, 10, 25)
    store.append([answered(1, ts=at(day, 0)), answered(2, ts=at(day, 0) + 25 * 3600 - 1)])
    store.append([answered(3, ts=at(day, 0) + 25 * 3600)])
    daily(store, tmp_path, Clock(at(day + timedelta(days=1), 9))).look()
    assert "2 (2 attempts, 0 failed)" in (tmp_path / "report-2026-10-25.md").read_text()


def appeared(place: Path) -> None:
    """Wait for a report, twenty seconds at most."""
    deadline = clock.monotonic() + 20
    while clock.monotonic() < deadline and not list(place.glob("*.md")):
        clock.sleep(0.05)


async def test_the_proxy_writes_them_while_it_runs(tmp_path: Path) -> None:
    """From its start to its end, if the settings say so; by default there are none."""
    url, place = f"sqlite:///{tmp_path / 'history.db'}", tmp_path / "reports"
    values = {"report_daily": "00:00", "report_directory": str(place)}
    with Engine.open(url, **values) as engine:
        events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> dict[str, str]:
            event = events.pop(0)
            if event["type"] == "lifespan.shutdown":
                await asyncio.to_thread(appeared, place)
            return event

        async def send(_event: object) -> None:
            return

        await create_app(engine)({"type": "lifespan"}, receive, send)
        assert len(names(place)) == 2
    with Engine.open(url) as engine:
        assert create_app(engine)._daily is None


@pytest.mark.parametrize("value", ["7", "25:00", "07:00Z", "noon"])
def test_a_time_of_day_that_is_none_is_a_clear_error(value: str, tmp_path: Path) -> None:
    """Named by its setting."""
    from budget_proxy.errors import ConfigError

    with pytest.raises(ConfigError, match="report_daily"):
        Engine.open(f"sqlite:///{tmp_path / 'history.db'}", report_daily=value)
