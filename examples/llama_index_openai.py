"""LlamaIndex's OpenAI LLM on a wrapped client.

Reads OPENAI_API_KEY and OPENAI_BASE_URL as the SDK does.
"""

import openai
from llama_index.llms.openai import OpenAI

from budget_proxy import wrap

llm = OpenAI(model="gpt-5.4", openai_client=wrap(openai.OpenAI(), agent="geographer"))

print(llm.complete("Name the capital of France in one sentence."))
