"""Wrap a client that you already have, and see what each call used.

Reads ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL as the SDK does.
"""

import anthropic

from budget_proxy import budget, wrap

client = wrap(anthropic.Anthropic(), agent="geographer")
with budget(session="tour") as b:
    message = client.messages.create(
        model="claude-haiku-5-5",
        max_tokens=300,
        messages=[{"role": "user", "content": "Name three rivers, one word each."}],
    )
for block in message.content:
    if block.type == "text":
        print(block.text)
for call in b.calls:
    print(f"used {call.usage.output_tokens} tokens; {call.plan.allocation.reason}")
