import { type BuiltinDeclaration, pipelineAuthoringSchema } from "@espalier/core";
import { z } from "zod";
import { projectSchema } from "./project-schema.ts";

type JsonSchema = Record<string, unknown>;

/** The JSON Schemas for editors, by file name below docs/schemas: exactly what is accepted, as far as a schema can say it. */
export function publishedSchemas(builtins: readonly BuiltinDeclaration[]): Readonly<Record<string, JsonSchema>> {
  return {
    "pipeline.schema.json": pipelineJsonSchema(builtins),
    "espalier.schema.json": toJsonSchema(projectSchema, "espalier.yaml: the project and its stacks"),
  };
}

function pipelineJsonSchema(builtins: readonly BuiltinDeclaration[]): JsonSchema {
  const schema = toJsonSchema(pipelineAuthoringSchema, "A pipeline of Espalier");
  const { properties } = schema as { properties: { steps: { additionalProperties: JsonSchema } } };
  const step = properties.steps.additionalProperties;
  const byName = [...builtins].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { uses } = step["properties"] as { uses: JsonSchema };
  uses["examples"] = byName.map((builtin) => builtin.name);
  step["oneOf"] = [{ required: ["run"] }, { required: ["uses"] }];
  step["allOf"] = byName.map((builtin) => ({
    if: { properties: { uses: { const: builtin.name } }, required: ["uses"] },
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own word.
    then: settingsOf(builtin),
  }));
  return schema;
}

function settingsOf(builtin: BuiltinDeclaration): JsonSchema {
  const { $schema: _, ...settings } = z.toJSONSchema(builtin.with, { target: "draft-7", io: "input" }) as JsonSchema;
  const required = Object.keys(builtin.inputs).filter((name) => builtin.inputs[name]?.required === true);
  return {
    description: builtin.summary,
    properties: {
      with: settings,
      ...(required.length === 0 ? {} : { inputs: { required } }),
    },
    ...(required.length === 0 ? {} : { required: ["inputs"] }),
  };
}

function toJsonSchema(schema: z.ZodType, title: string): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: "draft-7", io: "input" }) as JsonSchema;
  return { $schema, title, ...rest };
}
