import { z } from "zod";
import { nameSchema } from "../ir/pipeline.ts";

/**
 * Files between the control plane and the data plane, so that an endpoint keeps serving when the control plane is away. Each is replaced
 * whole, by rename.
 */

/** One upstream of a router. */
export const routedVersionSchema = z.strictObject({
  /** Tells a restarted or replaced server of one version from another of the same version number. */
  key: z.string().min(1),
  model: z.string().min(1),
  version: z.string().min(1),
  /** Loopback port of the model server. */
  port: z.int().min(1).max(65535),
  /** Share of traffic, 0 to 1. */
  weight: z.number().min(0).max(1),
});
export type RoutedVersion = z.infer<typeof routedVersionSchema>;

/** What a router should do: `state.json` of an endpoint. */
export const routerStateSchema = z
  .strictObject({
    format: z.literal(1),
    endpoint: nameSchema,
    generation: z.int().nonnegative(),
    /** Share of requests whose inputs and outputs are captured, 0 to 1. */
    captureRate: z.number().min(0).max(1),
    versions: z.array(routedVersionSchema).min(1),
  })
  .refine((state) => Math.abs(state.versions.reduce((sum, version) => sum + version.weight, 0) - 1) < 1e-6, {
    message: "the weights of an endpoint must sum to 1",
    path: ["versions"],
  });
export type RouterState = z.infer<typeof routerStateSchema>;

/** What a serving process says about itself once it knows: its address, or why it will not serve. */
export const announcementSchema = z.union([
  z.object({ pid: z.int(), port: z.int() }),
  z.object({
    pid: z.int(),
    error: z.object({
      code: z.string(),
      message: z.string(),
      at: z.string().optional(),
      hint: z.string().optional(),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  }),
]);
export type Announcement = z.infer<typeof announcementSchema>;

/** Body of the router's `/status`. Counts begin with the router's process. Durations in seconds. */
export const routerStatusSchema = z.object({
  endpoint: z.string(),
  pid: z.int(),
  /** The generation in force: an older one until every weighted version of the wanted one is ready. */
  generation: z.int(),
  wantedGeneration: z.int(),
  ready: z.boolean(),
  /** Why the wanted state is not in force. */
  message: z.string().optional(),
  versions: z.array(
    z.object({
      key: z.string(),
      model: z.string(),
      version: z.string(),
      weight: z.number(),
      ready: z.boolean(),
      message: z.string().optional(),
      requests: z.int(),
      errors: z.int(),
      p50Seconds: z.number().optional(),
      p99Seconds: z.number().optional(),
    }),
  ),
  /** Keys of versions that left the state and still answer requests. */
  draining: z.array(z.string()),
});
export type RouterStatus = z.infer<typeof routerStatusSchema>;
