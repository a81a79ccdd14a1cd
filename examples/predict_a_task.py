"""Predict what a ticket will need, record what it used, and see the forecast follow."""

from budget_proxy import Engine

TICKET = {
    "description": "Fix the login redirect: it loses the query string after two-factor sign-in",
    "type": "bug-fix",
    "priority": "High",
    "story_points": 5,
}

with Engine.open("memory:") as engine:
    first = engine.predict(TICKET, agent="coder")
    print(f"first: {first.recommended} tokens by {first.strategy}, {first.breakdown}")
    for used in (4100, 3900, 4400, 4600, 4000, 4300, 3800, 4200) * 3:
        engine.record(engine.predict(TICKET, agent="coder"), used=used)
    later = engine.predict(TICKET, agent="coder")
    print(f"later: {later.recommended} tokens by {later.strategy}, rests on {later.reasons}")
    for task in engine.similar_tasks(TICKET, n=3):
        print(f"  similar: {task.similarity:.2f}, used {task.used}")
