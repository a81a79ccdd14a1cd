"""Swap the import: a streamed chat through the wrapped OpenAI client.

Reads OPENAI_API_KEY and OPENAI_BASE_URL as the SDK does.
"""

from budget_proxy.openai import OpenAI

client = OpenAI()
stream = client.chat.completions.create(
    model="gpt-5.4",
    messages=[{"role": "user", "content": "Name the capital of France in one sentence."}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
