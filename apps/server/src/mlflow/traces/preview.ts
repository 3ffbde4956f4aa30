import { truncated } from "../limits.ts";
import type { AnyValue } from "./otlp/spans.ts";

export type Plain = null | boolean | number | bigint | string | Plain[] | Map<string, Plain>;

const longestPreview = 1000;

/**
 * What a list of traces shows of a request or a response: the last message of its speaker where it holds a chat, else the whole as JSON,
 * cut. Written as Python writes JSON, since MLflow's own server and client do.
 */
export function preview(value: AnyValue, speaker: "user" | "assistant"): string | undefined {
  if (value === null) return undefined;
  const plain = plainValue(value);
  const text = messageText(plain, speaker) || pythonJson(plain);
  const cut = truncated(longestPreview, text);
  return cut === text ? text : `${truncated(longestPreview - 3, text)}...`;
}

export function plainValue(value: AnyValue): Plain {
  if (value === null) return null;
  if (value.type === "array") return value.value.map(plainValue);
  if (value.type === "kvlist") return new Map(value.value.map(({ key, value: member }) => [key, plainValue(member)]));
  return value.type === "bytes" ? value.value.toString("base64") : value.value;
}

export function pythonJson(value: Plain): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (value instanceof Map) {
    return `{${[...value].map(([key, member]) => `${JSON.stringify(key)}: ${pythonJson(member)}`).join(", ")}}`;
  }
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    return Number.isInteger(value) && Math.abs(value) < 1e16 ? value.toFixed(1) : String(value);
  }
  return JSON.stringify(value);
}

/** A request in the form of OpenAI's chat or responses, or an answer to one. */
function messageText(value: Plain, speaker: string): string | undefined {
  const messages = messagesIn(value);
  const message = messages.findLast((one) => one.get("role") === speaker) ?? messages.at(-1);
  const content = message?.get("content");
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  for (const part of content) {
    if (typeof part === "string") return part;
    const isText = part instanceof Map && (part.get("type") === "text" || part.get("type") === "output_text");
    const text = isText ? part.get("text") : undefined;
    if (typeof text === "string") return text;
  }
  return undefined;
}

function messagesIn(value: Plain): Map<string, Plain>[] {
  if (!(value instanceof Map)) return [];
  const isMessage = (one: Plain): one is Map<string, Plain> =>
    one instanceof Map && one.has("role") && one.has("content");
  for (const name of ["messages", "input", "output"]) {
    const list = value.get(name);
    if (Array.isArray(list) && list.length > 0) return list.filter(isMessage);
  }
  const choices = value.get("choices");
  const choice = Array.isArray(choices) ? choices[0] : undefined;
  const message = choice instanceof Map ? choice.get("message") : undefined;
  if (message !== undefined && isMessage(message)) return [message];
  return value.has("request") ? messagesIn(value.get("request") ?? null) : [];
}
