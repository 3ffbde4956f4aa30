import type { Json } from "@espalier/core";
import type { RegistryEvent } from "../../db/queries/registry/registry-events.ts";

const tags = { example_key: "example_value" };
const about = (name: string): Record<string, Json> => ({ name, version: "1" });
const tag = { key: "example_key", value: "example_value" };
const alias = { alias: "example_alias" };

/** What the test of a webhook sends: shaped as the real event, about nothing that exists. */
export function exampleData(event: RegistryEvent): Record<string, Json> {
  const name = event.startsWith("prompt") ? "example_prompt" : "example_model";
  const [entity = "", action] = event.split(".");
  if (entity === "registered_model") return { name, tags, description: "An example registered model" };
  if (entity === "prompt") return { name, tags, description: "An example prompt" };
  if (entity === "model_version") {
    return {
      ...about(name),
      source: "models:/123",
      run_id: "abcd1234abcd5678",
      tags,
      description: "An example version",
    };
  }
  if (entity === "prompt_version") {
    return { ...about(name), template: "Hello {{name}}!", tags, description: "An example version" };
  }
  if (entity.endsWith("_alias")) return { name, ...alias, ...(action === "created" ? { version: "1" } : {}) };
  const change: Record<string, Json> = action === "set" ? tag : { key: tag.key };
  return entity === "prompt_tag" ? { name, ...change } : { ...about(name), ...change };
}
