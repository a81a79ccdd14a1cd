"""How much of a budget many callers can use, and by how much it is passed: against other gateways.

Every case of tests/budget_cases.py through the wrapper, two of them through the proxy too: 48
callers of the OpenAI SDK, answers after 0.3 s, refused ones try again until all is used. Takes
some minutes. With --write the table goes into docs/limits-measured.md:

    python benchmarks/limits.py [--data DIR] [--write]

It ends with status 1 where less than 85 % of a budget is used, it is passed beyond the bound that
was known before, or something is left reserved.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.budget_cases import (  # noqa: E402
    Case,
    Door,
    Spent,
    like_recorded,
    made_up,
    of_recordings,
    spent,
)

PAGE = ROOT / "docs" / "limits-measured.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_HEAD = (
    "case", "door", "budget", "admitted", "used", "= budget x", "could be passed by", "otari: x",
)  # fmt: skip
_LEAST = 0.85


def cases(data: Path) -> Iterator[tuple[Case, Door]]:
    """All of them, and by which door."""
    known = [*made_up(), *like_recorded(), *of_recordings(data)]
    for case in known:
        yield case, "wrapper"
    for case in (known[0], known[4]):
        yield case, "proxy"


def row(found: Spent) -> list[str]:
    """A line of the table."""
    case = found.case
    peer = "-" if case.peer is None else f"{case.peer:.2f}"
    budget = f"${case.dollars * case.times:.2f}"
    return [
        case.name, found.door, budget + (" (10 times theirs)" if case.times > 1 else ""),
        str(found.admitted), f"${found.used / 1e9:.4f}", f"{found.share:.3f}",
        f"${found.bound / 1e9:.2f}", peer,
    ]  # fmt: skip


def table(rows: list[list[str]]) -> str:
    """The rows as Markdown."""
    lines = [list(_HEAD), ["---"] * 3 + ["---:"] * 5, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def written(page: str, between: str) -> str:
    """The page with another table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{between}\n{END}{after}"


def held(found: Spent) -> bool:
    """Whether a budget was used and held as it should be."""
    within = found.used <= found.case.amount + found.bound
    return within and found.share >= _LEAST and not found.held and not found.faults


def main() -> int:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default=os.environ.get("BUDGET_PROXY_DATA", "../shared/data"))
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    options = parser.parse_args()
    rows, fine = [], True
    for case, door in cases(Path(options.data)):
        with tempfile.TemporaryDirectory() as folder:
            found = spent(case, door, Path(folder))
        rows.append(row(found))
        fine = fine and held(found)
        print(" | ".join(rows[-1]) + ("" if held(found) else " | FAILED"), flush=True)
    if options.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), table(rows)), encoding="utf-8")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
