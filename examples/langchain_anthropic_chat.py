"""LangChain's ChatAnthropic through the proxy, since it takes no client.

Start `budget-proxy serve` and set ANTHROPIC_BASE_URL=http://127.0.0.1:4141 first.
"""

from langchain_anthropic import ChatAnthropic

llm = ChatAnthropic(model="claude-haiku-5-5", default_headers={"x-budget-agent": "geographer"})

print(llm.invoke("Name the capital of France in one sentence.").text)
