"""The step of the schema from half hours to quarters and hours; store/migrations.py applies it.

It makes hours of half hours, and leaves a note that rows are to be summed by quarter, which
store/summing.py does after the last step: a step knows no formula of a later version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database


def m016_quarters(db: Database) -> None:
    """Keep sums by hour and by quarter in place of half hours, which are not all there is.

    Half hours of calls that are gone cannot be parted: those days are told as days from now on.
    """
    gone = "SELECT max(start) / 86400 * 86400 + 86400 FROM sums WHERE span = 1800 AND folded > 0"
    (fine,) = db.execute(gone).fetchone()
    if fine is not None:
        db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('fine', ?)", (str(fine),))
    columns = [row[1] for row in db.execute("PRAGMA table_info(sums)").fetchall()]
    numbers = columns[columns.index("last") + 1 :]
    db.execute(
        f"INSERT INTO sums (span, start, agent, task_type, model, arm, first, last, "  # noqa: S608 (our own names)
        f"{', '.join(numbers)}) SELECT 3600, start / 3600 * 3600 AS hour, agent, task_type, model, "
        f"arm, min(first), max(last), {', '.join(f'sum({name})' for name in numbers)} FROM sums "
        "WHERE span = 1800 AND start >= ? GROUP BY hour, agent, task_type, model, arm",
        (fine or 0,),
    )
    db.execute("DELETE FROM sums WHERE span = 1800")
    db.execute(
        "INSERT INTO meta (name, value) SELECT 'without_quarters', '1' "
        "WHERE EXISTS (SELECT 1 FROM sums)"
    )
