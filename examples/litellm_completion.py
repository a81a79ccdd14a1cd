"""LiteLLM with budgets: the import is swapped, the calls stay as they were."""

from budget_proxy import budget
from budget_proxy.litellm import completion

QUESTION = [{"role": "user", "content": "Name the capital of France in one sentence."}]

with budget(cap=200, agent="geographer") as b:
    answer = completion(model="openai/gpt-5.4", messages=QUESTION)

print(answer.choices[0].message.content)
for call in b.calls:
    print(call.call_id, call.usage.output_tokens, call.plan.allocation.reason)
