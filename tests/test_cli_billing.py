"""`budget-proxy billing`: exports in, a comparison out, on real files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.store import open_store
from tests.command_line import history, run, run_json
from tests.simulated_months import exports, month, row
from tests.test_billing_months import dearer, is_lost
from tests.test_bills_formats import OPENAI_COSTS

CALLS = month(0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A month's exports, at a price that has risen."""
    return exports(CALLS, price=dearer).write(tmp_path_factory.mktemp("exports"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A history that lacks some rows."""
    return history(tmp_path / "history.db", *(row(call) for call in CALLS if not is_lost(call)))


def page(*results: Any, day: int = 0, **given: Any) -> str:
    """A page of OpenAI's costs with one bucket."""
    start = 1_790_812_800 + 86_400 * day
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400}
    return json.dumps({"object": "page", "data": [{**bucket, "results": results}], **given})


def costs(value: Any, item: str = "gpt-5-mini-2025-08-07, output", currency: str = "usd") -> Any:
    """A result of OpenAI's costs."""
    return {
        "object": "organization.costs.result", "line_item": item,
        "amount": {"value": value, "currency": currency},
    }  # fmt: skip


def test_a_month_is_imported_and_compared(url: str, files: list[Path]) -> None:
    """Both seeded faults are named in the verdict; JSON has all of it, and adds up."""
    summary = run_json("billing", "import", *files, "--store", url)
    assert (summary["skipped"], summary["replaced"], summary["findings"]) == (0, [], [])
    assert sorted(set(summary["files"].values())) == [
        "anthropic-costs", "anthropic-usage", "openai-costs", "openai-usage",
    ]  # fmt: skip
    found = run_json("billing", "reconcile", "--store", url)
    assert found["first"] == "2026-10-01"
    assert {(one["cause"], one["model"]) for one in found["explanations"]} >= {
        ("missing-rows", "claude-haiku-4-5"), ("price", "gpt-5-mini"),
    }  # fmt: skip
    assert found["explained_nano"] + found["unexplained_nano"] == found["difference_nano"]
    assert "another price (gpt-5-mini, since 2026-10-14)" in found["verdict"]
    one = run_json(
        "billing", "reconcile", "--month", "2026-10", "--provider", "openai", "--store", url
    )
    assert one["providers"] == ["openai"]
    assert {line["provider"] for line in one["lines"]} == {"openai"}


def test_the_table_begins_with_the_verdict(url: str, files: list[Path]) -> None:
    """Then causes with what speaks for them, models, and the days that differ."""
    run("billing", "import", *files, "--store", url)
    told = run("billing", "reconcile", "--store", url).stdout
    lines = told.split("\n")
    assert lines[1].startswith("ledger $")
    for part in ("Why they differ", "By model", "Days and models that differ", "2026-10-07 /"):
        assert part in told
    assert max(map(len, lines[2:])) <= 80
    assert re.search(r"rows that we never saw +claude-haiku-4-5 +2 days +\$0\.\d+", told)


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_it_is_written_as_a_file(form: str, url: str, files: list[Path], tmp_path: Path) -> None:
    """As Markdown, and as one HTML file."""
    run("billing", "import", *files, "--store", url)
    out = tmp_path / ("bill.md" if form == "markdown" else "bill.html")
    assert run("billing", "reconcile", "--store", url, "--out", out).exit_code == 0
    text = out.read_text()
    assert "Why they differ" in text
    assert "claude-haiku-4-5" in text
    assert text.startswith("# Billing" if form == "markdown" else "<!doctype html>")


def test_the_same_exports_again_change_nothing(url: str, files: list[Path]) -> None:
    """Every line is there already, and the comparison is the same."""
    first = run_json("billing", "import", *files, "--store", url)
    before = run_json("billing", "reconcile", "--store", url)
    again = run_json("billing", "import", *files, "--store", url)
    assert (again["written"], again["unchanged"], again["replaced"]) == (0, first["written"], [])
    assert run_json("billing", "reconcile", "--store", url) == before


def test_a_newer_export_replaces_its_days_and_says_which(url: str, tmp_path: Path) -> None:
    """The lines that had to go are told by file and days."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(page(costs(1), costs(2, "gpt-5.4-2026-03-05, output")))
    new.write_text(page(costs(3)))
    run_json("billing", "import", old, "--store", url)
    summary = run_json("billing", "import", new, "--store", url)
    (gone,) = summary["replaced"]
    assert (gone["file"], gone["lines"], gone["first"], gone["amount_nano"]) == (
        "old.json", 2, "2026-10-01", 3_000_000_000,
    )  # fmt: skip
    told = run("billing", "import", old, "--store", url).stdout
    assert (
        "Replaced: 1 lines of openai cost, 2026-10-01 to 2026-10-01, which came from new.json"
        in told
    )
    (bill,) = run_json("billing", "list", "--store", url)["bills"]
    assert (bill["file"], bill["amount_nano"], bill["days"]) == ("old.json", 3_000_000_000, 1)


def test_nothing_is_lost_silently(url: str, tmp_path: Path) -> None:
    """Other currencies, bad amounts, repeated rows, more pages: each with its place."""
    path = tmp_path / "odd.json"
    bucket = json.loads(page(costs(1), costs(1), costs(5, currency="eur"), costs("much"), costs(-2),
                             has_more=True))  # fmt: skip
    path.write_text(json.dumps(bucket) + "\n{broken\n")
    summary = run_json("billing", "import", path, "--store", url)
    assert (summary["read"], summary["skipped"]) == (6, 4)
    found = {one["kind"]: one for one in summary["findings"]}
    assert {kind: one["rows"] for kind, one in found.items()} == {
        "malformed": 2, "currency": 1, "repeated": 1, "credit": 1, "more": 1,
    }  # fmt: skip
    assert (
        "line 1: an amount in EUR: only US dollars can be compared" in found["currency"]["examples"]
    )
    assert any(example.startswith("line 2: ") for example in found["malformed"]["examples"])
    told = run("billing", "import", path, "--store", url).stdout
    assert "In another currency than US dollars:" in told


def test_days_of_another_time_zone_are_noticed(url: str, tmp_path: Path) -> None:
    """They are filed under the day that has most of their hours."""
    start = 1_790_812_800 - 7_200
    result = {**costs(1), "start_time": start, "end_time": start + 86_400}
    path = tmp_path / "zone.json"
    path.write_text(json.dumps(result))
    (finding,) = run_json("billing", "import", path, "--store", url)["findings"]
    assert (finding["kind"], finding["kept"]) == ("zone", True)
    assert run_json("billing", "list", "--store", url)["bills"][0]["first"] == "2026-10-01"


def test_columns_of_no_concern_are_not_read(url: str, tmp_path: Path) -> None:
    """A table of one's own may have others by the names that exports give their times."""
    path = tmp_path / "own.csv"
    path.write_text("day,model,cost,start_time,end_time\n2026-10-01,gpt-5.4,1.5,n/a,n/a\n")
    summary = run_json("billing", "import", path, "--store", url)
    assert (summary["written"], summary["findings"]) == (1, [])


def test_a_dry_run_writes_nothing(url: str, files: list[Path]) -> None:
    """It reads and checks all the same."""
    summary = run_json("billing", "import", *files, "--dry-run", "--store", url)
    assert summary["written"] > 100
    assert run_json("billing", "list", "--store", url)["bills"] == []
    assert "No bill was imported so far" in run("billing", "list", "--store", url).stdout


def test_an_export_of_which_nothing_can_be_taken_is_a_failure(url: str, tmp_path: Path) -> None:
    """Exit code 1, and the reasons."""
    path = tmp_path / "euro.json"
    path.write_text(page(costs(1, currency="eur")))
    assert run_json("billing", "import", path, "--store", url, exit_code=1)["skipped"] == 1


def test_a_file_that_breaks_off_is_not_taken(url: str, tmp_path: Path) -> None:
    """The rest of a day would be missing: exit code 2, and nothing written, of no other file."""
    whole, path = tmp_path / "whole.json", tmp_path / "half.json"
    whole.write_text(page(costs(1)))
    path.write_text(json.dumps(OPENAI_COSTS, indent=1)[:-400])
    result = run("billing", "import", whole, path, "--store", url)
    assert (result.exit_code, "breaks off" in result.stderr) == (2, True)
    assert "nothing was written" in result.stderr
    assert run_json("billing", "list", "--store", url)["bills"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--month", "2026-13"), "a month is written as 2026-10"),
        (("--month", "2026-11"), "there is no bill of 2026-11; there are bills of 2026-10"),
        (("--provider", "acme"), "there is no bill of acme: import one"),
    ],
)
def test_questions_that_have_no_answer_say_why(
    words: tuple[str, ...], said: str, url: str, files: list[Path]
) -> None:
    """One line on stderr, exit code 2."""
    run("billing", "import", *files, "--store", url)
    result = run("billing", "reconcile", *words, "--store", url)
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_without_any_bill_it_says_what_to_do(url: str) -> None:
    """The command that imports one."""
    result = run("billing", "reconcile", "--store", url)
    assert result.exit_code == 2
    assert "budget-proxy billing import FILE" in result.stderr


def test_rows_that_were_folded_still_count(url: str, files: list[Path]) -> None:
    """After `history compact` the sums of old days stand for their rows: the same ledger."""
    run("billing", "import", *files, "--store", url)
    before = run_json("billing", "reconcile", "--store", url)
    store = open_store(url)
    middle = 1_790_812_800 + 15 * 86_400
    while store.fold(10**9, middle):
        pass
    store.close()
    after = run_json("billing", "reconcile", "--store", url)
    (note,) = set(after["notes"]) - set(before["notes"])
    assert note.startswith("rows of 15 days (2026-10-01 to 2026-10-15) were folded into sums")
    assert after["ledger_nano"] == pytest.approx(before["ledger_nano"], rel=1e-9)
    assert {(one["cause"], one["model"]) for one in after["explanations"]} >= {
        ("missing-rows", "claude-haiku-4-5"), ("price", "gpt-5-mini"),
    }  # fmt: skip
