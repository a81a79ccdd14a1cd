"""Choose a model, its thinking and a budget for a ticket, record the outcome, choose again."""

from budget_proxy import Engine

TICKETS = [
    {"description": "Fix the typo in the footer", "type": "bug-fix", "story_points": 1},
    {
        "description": "Design how sessions move to tokens without logging anyone out",
        "type": "architecture",
        "priority": "Critical",
        "story_points": 13,
        "labels": ["auth", "backend", "database"],
    },
]
TIERS = [
    {"model": "gpt-6-luna", "max_complexity": 40},
    {"model": "gpt-6.1-sol", "thinking": True},
]

with Engine.open("memory:", tiers=TIERS) as engine:
    for ticket in TICKETS:
        selection = engine.select_model_and_budget(ticket, agent="coder")
        print(f"{ticket['description']}\n  {selection.explanation}")
        budget = selection.prediction.recommended
        for used in (0.7, 0.8, 0.75, 0.9, 0.6) * 5:  # what your calls report
            engine.record_outcome_with_budget(selection, used=round(used * budget))
        again = engine.select_model_and_budget(ticket, agent="coder")
        print(f"  after 25 outcomes: {again.model}, {again.prediction.recommended} tokens")
