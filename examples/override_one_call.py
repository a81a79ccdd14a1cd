"""Override one call, in the three ways: a with block, a body key, a header."""

from budget_proxy import budget
from budget_proxy.openai import OpenAI

client = OpenAI()


def ask(text: str, **more: object) -> int:
    """Ask, and return the tokens that the answer used."""
    answer = client.chat.completions.create(
        model="gpt-5.4",
        messages=[{"role": "user", "content": text}],
        **more,  # type: ignore[call-overload] # the options of create()
    )
    return answer.usage.completion_tokens if answer.usage else 0


with budget(cap=40, agent="poet"):
    print("with block:", ask("Write a long poem about the sea."))
print("body key:  ", ask("Write a long poem.", extra_body={"budget": {"cap": 40, "agent": "poet"}}))
print("header:    ", ask("Write a long poem.", extra_headers={"x-budget-cap": "40"}))
