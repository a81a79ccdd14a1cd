"""Instructor on a wrapped client: an object out of a text, guided but never cut.

Reads OPENAI_API_KEY and OPENAI_BASE_URL as the SDK does.
"""

import instructor
from pydantic import BaseModel

from budget_proxy.openai import OpenAI


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


client = instructor.from_openai(OpenAI(agent="extractor"))
city = client.create(
    model="gpt-5.4",
    response_model=City,
    messages=[{"role": "user", "content": "The Eiffel Tower is in the capital of France."}],
)
print(city.name, city.country)
