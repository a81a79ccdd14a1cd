// Uses of Anthropic's SDK for Node.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { all, first, report } from "./report.mjs";

const client = new Anthropic({ maxRetries: 0, defaultHeaders: { "x-budget-agent": "node" } });
const counted = {
  model: "claude-sonnet-5-5",
  system: "You are a guide.",
  messages: [{ role: "user", content: "hello" }],
};
const ask = { ...counted, max_tokens: 4000 };
const look = betaTool({
  name: "look",
  description: "Look at a city",
  inputSchema: { type: "object", properties: { city: { type: "string" } } },
  run: ({ city }) => `Rain in ${city}`,
});

await report({
  messages: () => client.messages.create(ask),
  messages_stream: () => all(client.messages.create({ ...ask, stream: true })),
  messages_helper: () => client.messages.stream(ask).finalMessage(),
  messages_abort: () =>
    first((options) => client.messages.create({ ...ask, stream: true }, options)),
  messages_tools: () => client.beta.messages.toolRunner({ ...ask, tools: [look] }),
  count_tokens: () => client.messages.countTokens(counted),
  models: () => all(client.models.list()),
});
