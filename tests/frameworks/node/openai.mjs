// Uses of OpenAI's SDK for Node.
import OpenAI from "openai";
import { all, first, report } from "./report.mjs";

const client = new OpenAI({ maxRetries: 0, defaultHeaders: { "x-budget-agent": "node" } });
const model = "gpt-5.5";
const chat = {
  model,
  messages: [
    { role: "system", content: "You are a guide." },
    { role: "user", content: "hello" },
  ],
};
const response = { model, instructions: "You are a guide.", input: "hello" };
const look = {
  type: "function",
  function: {
    name: "look",
    description: "Look at a city",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    parse: JSON.parse,
    function: ({ city }) => `Rain in ${city}`,
  },
};

await report({
  chat: () => client.chat.completions.create(chat),
  chat_stream: () => all(client.chat.completions.create({ ...chat, stream: true })),
  chat_abort: () =>
    first((options) => client.chat.completions.create({ ...chat, stream: true }, options)),
  chat_tools: () => client.chat.completions.runTools({ ...chat, tools: [look] }).finalContent(),
  responses: () => client.responses.create(response),
  responses_stream: () => all(client.responses.create({ ...response, stream: true })),
  models: () => all(client.models.list()),
});
