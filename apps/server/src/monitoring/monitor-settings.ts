import { EspalierError, type ParameterValue, parseDurationSeconds } from "@espalier/core";
import type { MonitorConfig } from "@espalier/host";
import { z } from "zod";

const duration = z.union([z.string(), z.number().nonnegative()]).transform((text) => parseDurationSeconds(text) * 1000);

const trigger = {
  /** So many windows in a row must cross a threshold before it is an alert. */
  windows_in_a_row: z.int().min(1).max(100).default(1),
  /** No run is started while one with a logical date less than this before is there, whatever started it. */
  cooldown: duration.default(7 * 86_400_000),
};

const driftSchema = z.strictObject({
  /** `step.output` of the run that made the serving version: the table that its traffic is compared with. */
  reference: z.string().regex(/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/, "write `step.output`, such as `features.train`"),
  /** Left out: every input of the model. */
  columns: z.array(z.string()).optional(),
  /** Measured and shown, never judged. */
  report_only: z.array(z.string()).default([]),
  /** Column whose values (weekdays, hours) are mixed in the reference as they are in the window. */
  like_with_like: z.string().optional(),
  /** Fewer rows than this in a window decide nothing. */
  min_rows: z.int().positive().default(1000),
  ...trigger,
});

const performanceSchema = z.strictObject({
  /** Left out or `day`: days are resampled as wholes. `row`: rows are, as if each stood for itself. */
  block: z.enum(["day", "row"]).default("day"),
  confidence: z.number().gt(0.5).lt(1).default(0.95),
  resamples: z.int().min(100).max(5000).default(500),
  seed: z.int().nonnegative().default(1),
  /** How long after an event its label may take; a window is judged once it has passed. */
  label_delay: duration.default(0),
  /** Share of predictions that must have a label. */
  min_label_share: z.number().gt(0).max(1).default(0.9),
  min_rows: z.int().positive().default(1000),
  ...trigger,
});

const driftThresholds = z.strictObject({
  psi: z.number().positive().optional(),
  jensen_shannon: z.number().positive().optional(),
  hellinger: z.number().positive().optional(),
  total_variation: z.number().positive().optional(),
  wasserstein: z.number().positive().optional(),
  null_share_change: z.number().positive().optional(),
});

const performanceThresholds = z.strictObject({
  /** Crossed when the whole interval of the live AUC lies more than this below the AUC that the gate measured. */
  auc_margin: z.number().nonnegative().optional(),
  /** Crossed when mean score and mean label differ by more than this, and the interval of the difference excludes 0. */
  bias: z.number().nonnegative().optional(),
});

interface Common {
  name: string;
  endpoint: string;
  /** Milliseconds. */
  windowLength: number;
  enabled: boolean;
  windowsInARow: number;
  cooldown: number;
  /** What an alert starts. */
  start?: { pipeline: string; params: Readonly<Record<string, ParameterValue>> };
}

export type DriftSettings = Common & {
  kind: "drift";
  thresholds: z.output<typeof driftThresholds>;
  with: z.output<typeof driftSchema>;
};
export type PerformanceSettings = Common & {
  kind: "performance";
  thresholds: z.output<typeof performanceThresholds>;
  with: z.output<typeof performanceSchema>;
};
export type MonitorSettings = DriftSettings | PerformanceSettings;

/** INVALID_CONFIG names the place in espalier.yaml; UNSUPPORTED for kinds that are declared but not built yet. */
export function monitorSettings(name: string, config: MonitorConfig): MonitorSettings {
  const at = `monitors.${name}`;
  if (config.kind !== "drift" && config.kind !== "performance") {
    throw new EspalierError("UNSUPPORTED", `Monitors of the kind \`${config.kind}\` are not built yet`, {
      at: `${at}.kind`,
      hint: "`drift` and `performance` are.",
    });
  }
  const [withSchema, thresholdSchema] =
    config.kind === "drift" ? [driftSchema, driftThresholds] : [performanceSchema, performanceThresholds];
  const settings = parse(withSchema, config.with ?? {}, `${at}.with`);
  const thresholds = parse(thresholdSchema, config.thresholds ?? {}, `${at}.thresholds`);
  if (Object.values(thresholds).every((threshold) => threshold === undefined)) {
    throw new EspalierError("INVALID_CONFIG", `The monitor ${name} has no threshold, so it could never alarm`, {
      at: `${at}.thresholds`,
      hint: config.kind === "drift" ? "Such as `{ psi: 0.2 }`." : "Such as `{ auc_margin: 0.03 }` or `{ bias: 0.05 }`.",
    });
  }
  return {
    name,
    kind: config.kind,
    endpoint: config.endpoint,
    windowLength: parseDurationSeconds(config.window ?? "7d") * 1000,
    enabled: config.enabled ?? true,
    windowsInARow: settings.windows_in_a_row,
    cooldown: settings.cooldown,
    ...(config.pipeline === undefined ? {} : { start: { pipeline: config.pipeline, params: config.params ?? {} } }),
    thresholds,
    with: settings,
  } as MonitorSettings;
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, at: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new EspalierError("INVALID_CONFIG", issue?.message ?? "This is not valid", {
    at: [at, ...(issue?.path ?? [])].join("."),
  });
}
