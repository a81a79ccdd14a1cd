"""LangChain's ChatOpenAI on a wrapped client.

Reads OPENAI_API_KEY and OPENAI_BASE_URL as LangChain does.
"""

from langchain_openai import ChatOpenAI

from budget_proxy import wrap

llm = ChatOpenAI(model="gpt-5.4")
llm.root_client = wrap(llm.root_client, agent="geographer")
llm.client = llm.root_client.chat.completions

print(llm.invoke("Name the capital of France in one sentence.").text)
