"""Do projections keep their promise? Coverage of 95 % intervals on 200 made-up years.

Each year is projected 30 days ahead from histories of several lengths, and compared with what
came: each day, and the sum. ``lasting`` is the share of years at least 80 % of whose days were
covered; ``width`` the median of the sum's upper bound by its lower one (simple's may be below
0); ``error`` the median of |ln(sum / expected)|. Exits with 1 where fewer than 90 % or
more than 98 % of the held-out days are covered, by any history of a week or more: shorter ones
are to be wide. Years are numbered from 1,000; the method was chosen on others (from 10,000).
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from budget_proxy.analytics.projection import Method, project  # noqa: E402
from budget_proxy.analytics.series import LOOK_BACK, Series  # noqa: E402
from tests.simulated_years import Year, simulated  # noqa: E402

HISTORIES = (335, 120, 60, 30, 14, 10, 7, 5, 3, 2)
DAYS = 30
FIRST_YEAR = 1_000
FIRST = date(2026, 1, 5)  # a Monday


class Score:
    """What came of one year's projection."""

    def __init__(self, year: Year, history: int, method: Method) -> None:
        self.traits = year.traits
        start = max(history - LOOK_BACK, 0)
        series = Series((), "cost", FIRST + timedelta(days=start), year.costs[start:history])
        found = project(series, DAYS, method)
        came = year.costs[history : history + DAYS]
        assert found.total is not None
        self.low = np.array([day.amount.low for day in found.days])
        self.high = np.array([day.amount.high for day in found.days])
        self.held = (self.low <= came) & (came <= self.high)
        self.sum_held = found.total.low <= came.sum() <= found.total.high
        self.width = found.total.high / found.total.low if found.total.low > 0 else np.inf
        expected = max(found.total.expected, 1e-9)
        self.error = abs(np.log(max(came.sum(), 1e-9) / expected))


def scores(numbers: range, history: int, method: Method) -> list[Score]:
    """The scores of the years of these numbers."""
    return [Score(simulated(number, history + DAYS), history, method) for number in numbers]


def line(name: str, found: list[Score]) -> str:
    """One row of the table."""
    held = np.array([score.held for score in found])
    return (
        f"{name:<28} {len(found):>5} {held.mean():>6.3f} {held[:, :5].mean():>9.3f} "
        f"{held[:, -5:].mean():>10.3f} {np.mean(held.mean(axis=1) >= 0.8):>8.2f} "
        f"{np.mean([score.sum_held for score in found]):>6.3f} "
        f"{np.median([score.width for score in found]):>6.2f} "
        f"{np.median([score.error for score in found]):>6.3f}"
    )


def main() -> None:
    """Print the table; exit with 1 where the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST_YEAR, help="number of the first year")
    given = parser.parse_args()
    numbers = range(given.first, given.first + given.years)
    print(f"{'':<28} years   days  days 1-5 days 26-30  lasting    sum  width  error")
    kept = True
    for method in ("seasonal", "simple"):
        for history in HISTORIES:
            begun = time.perf_counter()
            found = scores(numbers, history, method)
            took = (time.perf_counter() - begun) / len(found)
            print(line(f"{method}, {history} days", found), f"  {1000 * took:.0f} ms each")
            if method == "seasonal" and history >= 7:
                kept &= bool(0.90 <= np.mean([score.held for score in found]) <= 0.98)
            if history == HISTORIES[0]:
                for trait in sorted(set().union(*(score.traits for score in found))):
                    print(line(f"  {trait}", [s for s in found if trait in s.traits]))
    print("days covered within 90-98 %:", "yes" if kept else "NO")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
