"""The step of the schema that keeps what efficiency was attainable; store/migrations.py applies it.

It fills the new sums of calls that are there. Its formulas are frozen, as a step's are, and those
of store/scoring.py at its release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database


def _between(tokens: str, begin: str) -> str:
    """P(used <= tokens) by the quantiles of a row; below q50 interpolated from P(use <= .5)."""

    def share(low: str, high: str) -> str:
        return f"({tokens} - {low}) / ({tokens} + {low}) * ({high} + {low}) / ({high} - {low})"

    return (
        f"CASE WHEN {tokens} < q50 THEN {begin.format(share=share('half', 'q50'))} "
        f"WHEN {tokens} < q75 THEN 0.5 + {share('q50', 'q75')} * 0.25 "
        f"WHEN {tokens} < q90 THEN 0.75 + {share('q75', 'q90')} * 0.15 "
        f"WHEN {tokens} < q95 THEN 0.9 + {share('q90', 'q95')} * 0.05 "
        f"WHEN {tokens} < q99 THEN 0.95 + {share('q95', 'q99')} * 0.04 ELSE 0.99 END"
    )


def m010_attainable_efficiency(db: Database) -> None:
    """Add up what efficiency the forecasts of calls let one expect."""
    db.execute("ALTER TABLE sums ADD COLUMN expected INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE sums ADD COLUMN expected_efficiency REAL NOT NULL DEFAULT 0")
    at_60, at_75, at_85 = (
        f"min(max({_between(f'{edge} * budget', 'least + {share} * (0.5 - least)')}, least), most)"
        for edge in (0.6, 0.75, 0.85)
    )
    db.execute("DROP TABLE IF EXISTS temp.attained")
    db.execute(f"""
        CREATE TEMP TABLE attained AS
        WITH a AS (
            SELECT CAST(min(max(ts, 0), 253402300799) AS INTEGER) / 1800 * 1800 AS start,
              agent, task_type, model, arm, recommended AS budget, 0.5 * recommended AS half,
              confidence, q50, q75, q90, q95, q99
            FROM calls
            WHERE id <= (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'summed')
              AND NOT pending AND exact AND coalesce(output_tokens, 0) <> 0
              AND finish_reason NOT IN ('cancelled', 'error')
              AND strategy IN ('learned', 'quantile', 'rolling') AND confidence IS NOT NULL
              AND recommended <> 0 AND q50 + q75 + q90 + q95 + q99 IS NOT NULL
              AND CASE WHEN truncated THEN 1.0 * output_tokens / max(n, 1)
                ELSE coalesce(nullif(1.0 * ceiling, 0), 9e999) END / recommended >= 0.95
              AND NOT (attempt > 1 AND coalesce((SELECT cut_by_us FROM calls AS p
                WHERE p.call_id = calls.call_id AND p.id < calls.id
                ORDER BY p.id DESC LIMIT 1), 0))
        ), b AS (SELECT *, {_between("0.95 * budget", "0.5")} AS most FROM a),
        c AS MATERIALIZED (SELECT *, max(most - confidence, 0.0) AS least FROM b)
        SELECT start, agent, task_type, model, arm, count(*) AS expected,
          sum(0.5 - 0.3 * least - 0.2 * {at_60} - 0.2 * {at_75} + 0.2 * {at_85} + 0.3 * most)
            AS expected_efficiency
        FROM c GROUP BY start, agent, task_type, model, arm
    """)  # noqa: S608 (our own names)
    for span in (1_800, 86_400):
        db.execute(f"""
            UPDATE sums SET expected = f.expected, expected_efficiency = f.expected_efficiency
            FROM (SELECT start / {span} * {span} AS start, agent, task_type, model, arm,
                sum(expected) AS expected, sum(expected_efficiency) AS expected_efficiency
              FROM temp.attained GROUP BY 1, 2, 3, 4, 5) AS f
            WHERE sums.span = {span} AND sums.start = f.start AND sums.agent = f.agent
              AND sums.task_type = f.task_type AND sums.model = f.model AND sums.arm = f.arm
        """)  # noqa: S608 (our own names)
    db.execute("DROP TABLE temp.attained")
