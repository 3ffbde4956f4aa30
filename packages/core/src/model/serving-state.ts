import { z } from "zod";
import { nameSchema } from "../ir/pipeline.ts";

/**
 * Files between the control plane and the data plane, so that an endpoint keeps serving when the control plane is away. Each is replaced
 * whole, by rename.
 */

/** Sends requests that fit to one version, whatever the weights say: by a header's value, or by the sticky key. */
export const routingRuleSchema = z.union([
  z.strictObject({
    /** Header name, in any case. */
    header: z.string().regex(/^[A-Za-z0-9-]{1,64}$/, "a header's name is letters, digits and '-'"),
    /** Exact value. */
    value: z.string().max(1024),
    version: z.string().min(1),
  }),
  z.strictObject({
    /** Sticky keys of the callers that belong to the group. */
    keys: z.array(z.string().min(1).max(256)).min(1).max(10_000),
    version: z.string().min(1),
  }),
]);
export type RoutingRule = z.infer<typeof routingRuleSchema>;

/** What a router holds requests to. */
export const servingLimitsSchema = z.strictObject({
  /** Requests in flight at one replica; 256 when left out. */
  concurrency: z.int().min(1).max(100_000).optional(),
  /** Requests that may wait for one version at the router; further ones get 429. 1,024 when left out. */
  queue: z.int().min(0).max(1_000_000).optional(),
  /** Most seconds that a request may take in all, waiting included; 60 when left out. */
  timeoutSeconds: z.number().positive().max(3600).optional(),
  /** Mirrored requests in flight; further ones are not mirrored, and counted. 16 when left out. */
  shadowConcurrency: z.int().min(1).max(10_000).optional(),
});
export type ServingLimits = z.infer<typeof servingLimitsSchema>;

/**
 * A program of the user's that serves one version behind the same router (vLLM, Triton, anything that speaks HTTP). `{port}` and `{model}`
 * in the command's arguments are replaced by the port to listen on and the folder of the model.
 */
export const customRuntimeSchema = z
  .strictObject({
    /** Program and arguments, started without a shell. With `image`: arguments of the container. */
    command: z.array(z.string().min(1)).min(1).optional(),
    /** Container image, run by Podman; `{port}` is then the port inside, `containerPort`. */
    image: z.string().min(1).optional(),
    containerPort: z.int().min(1).max(65_535).optional(),
    /** Environment variable that holds the port; `PORT` when left out. */
    portVariable: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
      .optional(),
    environment: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).optional(),
    /** Answers 200 once the program can predict; `/health` when left out. */
    healthPath: z.string().startsWith("/").optional(),
    /** Beginnings of the paths that callers may reach, beside those of the prediction protocols. */
    paths: z.array(z.string().startsWith("/")).optional(),
  })
  .refine((runtime) => runtime.command !== undefined || runtime.image !== undefined, {
    message: "a runtime needs a command or an image",
    path: ["command"],
  });
export type CustomRuntime = z.infer<typeof customRuntimeSchema>;

/**
 * Upper bounds in seconds of the buckets in which routers count durations, growing by a quarter each from 0.1 ms to over a minute; one more
 * bucket holds what lies above. Two counts taken at two moments, subtracted, give the quantiles of the time between.
 */
export const durationBounds: readonly number[] = Array.from({ length: 61 }, (_, index) => 1e-4 * 1.25 ** index);

/** Seconds at a share of the counted requests, 0 to 1: the upper bound of its bucket. Absent without requests. */
export function durationQuantile(counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = Math.max(1, Math.ceil(share * total));
  let below = 0;
  for (const [index, count] of counts.entries()) {
    below += count;
    if (below >= rank) return durationBounds[index] ?? durationBounds.at(-1);
  }
  return durationBounds.at(-1);
}

/** Mirrored requests of one version, since the router began, and how its answers compare with those that callers got. */
export const shadowCountsSchema = z.object({
  /** Sent, failed (5xx or no answer), and not sent because the budget was used up. */
  mirrored: z.int(),
  failed: z.int(),
  dropped: z.int(),
  /** Predicted rows that both answered, and those among them that agree: the same text, or numbers that differ by at most 0.01. */
  compared: z.int(),
  agreed: z.int(),
  /** Over the rows whose predictions are numbers. */
  numbers: z.int(),
  differenceSum: z.number(),
  differenceLargest: z.number(),
});
export type ShadowCounts = z.infer<typeof shadowCountsSchema>;

/** One upstream of a router. */
export const routedVersionSchema = z.strictObject({
  /** Tells two contents or settings of one version number apart; requests and errors are counted by it. */
  key: z.string().min(1),
  model: z.string().min(1),
  version: z.string().min(1),
  /** Loopback port of the model server. */
  port: z.int().min(1).max(65535),
  /** Ports of further servers of the same version. */
  replicaPorts: z.array(z.int().min(1).max(65535)).optional(),
  /** Servers that there should be; those without a port are being started. */
  wantedReplicas: z.int().min(1).optional(),
  /** Share of traffic, 0 to 1. */
  weight: z.number().min(0).max(1),
  /** Share of requests that are mirrored to it, 0 to 1. */
  mirror: z.number().min(0).max(1).optional(),
  /** Asked for readiness instead of `/v2/health/ready`. */
  healthPath: z.string().startsWith("/").optional(),
  /** Beginnings of further paths that callers may reach. */
  paths: z.array(z.string().startsWith("/")).optional(),
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
    rules: z.array(routingRuleSchema).optional(),
    stickyHeader: z.string().optional(),
    limits: servingLimitsSchema.optional(),
  })
  .refine((state) => Math.abs(state.versions.reduce((sum, version) => sum + version.weight, 0) - 1) < 1e-6, {
    message: "the weights of an endpoint must sum to 1",
    path: ["versions"],
  });
export type RouterState = z.infer<typeof routerStateSchema>;

/** What a serving process says about itself once it knows: its address, or why it will not serve. */
export const announcementSchema = z.union([
  z.object({
    pid: z.int(),
    port: z.int(),
    /** It was told to stop, and answers until another process has taken its place, or for a while. */
    leaving: z.boolean().optional(),
  }),
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
      /** By the buckets of `durationBounds`. */
      durations: z.array(z.int()).optional(),
      /** Requests asked again, after a connection broke or a replica was leaving. */
      retries: z.int().optional(),
      /** Requests that wait here for a replica. */
      queued: z.int().optional(),
      replicas: z.object({ ready: z.int(), wanted: z.int() }).optional(),
      shadow: shadowCountsSchema.optional(),
    }),
  ),
  /** Ports of servers that left the state and still answer requests. */
  draining: z.array(z.int()),
});
export type RouterStatus = z.infer<typeof routerStatusSchema>;
