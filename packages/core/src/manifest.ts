import { z } from "zod";
import { ownershipSchema } from "./advice/ownership.ts";

/** The families of tools: columns of the milestone table. */
export const providerSchema = z.enum(["embedded", "open-source", "aws", "google", "azure", "custom"]);
export type Provider = z.infer<typeof providerSchema>;

/** The components, keys of a stack file. */
export const componentSchema = z.enum([
  "artifacts",
  "validator",
  "features",
  "compute",
  "tracking",
  "registry",
  "lineage",
  "traces",
  "packages",
  "delivery",
  "deploy",
  "metrics",
  "scheduler",
  "metadata",
  "secrets",
]);
export type ComponentName = z.infer<typeof componentSchema>;

/**
 * A tool's manifest: data, not code. `plan`, `doctor`, `advise` and the UI read manifests and nothing else.
 * `verified.label`: real (the real server, with its version), emulator (an independent one), contract (the vendor's API description).
 */
export const manifestSchema = z.strictObject({
  tool: z.string(),
  provider: providerSchema,
  component: componentSchema,
  milestone: z.int().min(0).max(13),
  summary: z.string(),
  capabilities: z.array(z.string()),
  /** Skills a team needs to own it, e.g. `linux`, `kubernetes`. */
  skills: z.array(z.string()),
  cost: z.strictObject({ money: z.string(), operations: z.string() }),
  verified: z.strictObject({
    label: z.enum(["real", "emulator", "contract"]),
    against: z.string(),
    live: z.enum(["yes", "not yet run against the live service", "not applicable"]),
  }),
  /** What it means to own it, in figures; without it `advise` ranks the tool as if it were dear, and says so. */
  ownership: ownershipSchema.optional(),
  /** What the service must allow whoever uses the tool, in its own words. */
  permissions: z.array(z.string()).optional(),
  losses: z.array(z.string()).optional(),
  /** npm packages that must be installed beside Espalier. */
  needs: z.array(z.string()).optional(),
});
export type ToolManifest = z.infer<typeof manifestSchema>;
