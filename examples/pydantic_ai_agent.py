"""A Pydantic AI agent on a wrapped client: a structured answer, guided but never cut.

Reads OPENAI_API_KEY and OPENAI_BASE_URL as the SDK does.
"""

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from budget_proxy.openai import AsyncOpenAI


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


provider = OpenAIProvider(openai_client=AsyncOpenAI(agent="geographer"))
agent = Agent(OpenAIResponsesModel("gpt-5.4", provider=provider), output_type=City)

print(agent.run_sync("Name the capital of France.").output)
