import { z } from "zod";
import type { BuiltinDeclaration } from "../builtin.ts";
import { rolloutSettingsSchema, strategyNames } from "../model/rollout-settings.ts";
import { nameSchema } from "./pipeline.ts";

const tagsSchema = z.record(z.string(), z.string()).optional();

/** What the `record` built-ins take and give. They run inside the control plane, which implements them, and are idempotent. */
export const recordBuiltins = {
  dataset: {
    name: "dataset",
    version: 1,
    summary: "Takes a file or folder as a version of a dataset; content that is there already is the version it was",
    kind: "record",
    with: z.strictObject({ name: nameSchema, description: z.string().optional(), tags: tagsSchema }),
    inputs: { file: { types: ["parquet", "file", "tree"], required: true } },
    outputs: { dataset: "parquet", version: "value" },
    passes: { dataset: "file" },
    cacheable: true,
  },
  "replace-partitions": {
    name: "replace-partitions",
    version: 1,
    summary:
      "Makes a version of a dataset in which the folders of a tree stand in place of those of the same name, and all others stay",
    kind: "record",
    with: z.strictObject({ name: nameSchema, description: z.string().optional(), tags: tagsSchema }),
    inputs: { data: { types: ["tree"], required: true } },
    outputs: { dataset: "tree", version: "value" },
    /** What the dataset holds by now is no input: an earlier result would leave out what has been replaced since. */
    cacheable: false,
  },
  register: {
    name: "register",
    version: 1,
    summary: "Makes a version of a model of what a gate let through, and points an alias at it",
    kind: "record",
    with: z.strictObject({
      name: nameSchema,
      alias: nameSchema.optional(),
      description: z.string().optional(),
      tags: tagsSchema,
    }),
    inputs: { model: { types: ["model"], required: true } },
    outputs: { version: "value" },
    cacheable: true,
  },
  package: {
    name: "package",
    version: 1,
    summary:
      "Packs a model as an OCI artifact that any registry holds; with `image`, as an image of the model server with a registered version",
    kind: "record",
    with: z.strictObject({
      repository: nameSchema.optional(),
      tag: z.string().optional(),
      image: z.boolean().optional(),
      /** Of the image: another image's name, or a folder with an OCI layout. */
      base: z.string().optional(),
      platforms: z.array(z.string()).min(1).optional(),
      /** Path of the base's Python. */
      python: z.string().optional(),
      /** Name of the secret that holds the private key, in PEM. */
      sign_secret: z.string().optional(),
    }),
    inputs: { model: { types: ["model", "value"], required: true } },
    outputs: { image: "value" },
    cacheable: true,
  },
  deploy: {
    name: "deploy",
    version: 1,
    summary:
      "Serves a registered version at an endpoint; reconciles on every run, and says `unchanged` where nothing was to do",
    kind: "record",
    with: z.strictObject({
      endpoint: nameSchema,
      strategy: z.enum(strategyNames).optional(),
      weight: z.number().gt(0).lte(1).optional(),
      rollout: rolloutSettingsSchema.optional(),
      capture_rate: z.number().min(0).max(1).optional(),
      /** Points here once the version has all traffic. */
      alias: nameSchema.optional(),
    }),
    inputs: { model: { types: ["value", "model"], required: true } },
    outputs: { deployment: "value" },
    cacheable: false,
  },
  approve: {
    name: "approve",
    version: 1,
    summary: "Waits until a person approves; a rejection fails the step",
    kind: "record",
    with: z.strictObject({ question: z.string().optional() }),
    inputs: {},
    otherInputs: ["file", "tree", "parquet", "model", "value"],
    outputs: { decision: "value" },
    cacheable: false,
  },
} as const satisfies Record<string, BuiltinDeclaration>;
