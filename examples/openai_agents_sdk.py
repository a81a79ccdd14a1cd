"""OpenAI's Agents SDK on a wrapped client, each agent under its own name.

Reads OPENAI_API_KEY and OPENAI_BASE_URL as the SDK does.
"""

from agents import Agent, ModelSettings, Runner, set_default_openai_client

from budget_proxy import budget
from budget_proxy.openai import AsyncOpenAI

set_default_openai_client(AsyncOpenAI())
agent = Agent(
    name="geographer",
    instructions="You know all cities.",
    model="gpt-5.4",
    model_settings=ModelSettings(extra_headers={"x-budget-agent": "geographer"}),
)

with budget(session="tour") as b:
    result = Runner.run_sync(agent, "Name the capital of France in one sentence.")
print(result.final_output)
for call in b.calls:
    print(f"used {call.usage.output_tokens} tokens; {call.plan.allocation.reason}")
