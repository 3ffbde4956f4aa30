import { durationPattern, nameSchema, rolloutSettingsSchema, sizePattern, strategyNames } from "@espalier/core";
import { z } from "zod";

/** As wide as MLflow's clients may name models and aliases; `models:/` may be left out. */
const modelPattern =
  /^(?:models:\/)?[^/:@\s](?:[^/:@]{0,254}[^/:@\s])?(?:@[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}|\/[1-9][0-9]{0,8})$/;

const modelReference = z.string().regex(modelPattern, "write `models:/name@alias` or `models:/name/3`");

const duration = z.string().regex(durationPattern, "write a duration such as `30s` or `10m`");

const share = z.number().min(0).max(1);

const captureSchema = z.strictObject({
  rate: share.optional().describe("Share of requests that are captured; left out, 1."),
  redact: z
    .record(z.string().min(1), z.enum(["drop", "hash"]))
    .optional()
    .describe("Columns that are not captured as they are: `drop` leaves them out, `hash` keeps equal values equal."),
  outputs: z.boolean().optional().describe("false: of the outputs only the score is kept."),
  formats: z
    .strictObject({
      cloudevents: z
        .strictObject({ url: z.url({ protocol: /^https?$/ }).describe("Where the events are sent.") })
        .optional()
        .describe("As KServe's inference logger sends them."),
      sagemaker: z
        .boolean()
        .optional()
        .describe("As SageMaker's data capture, below `.espalier/endpoints/<name>/sagemaker/`."),
    })
    .optional()
    .describe("Further forms in which the same captures are written."),
});

const besideSchema = {
  model: modelReference.describe("A version of the endpoint's model, such as `models:/name@challenger`."),
};

const ruleSchema = z.union([
  z.strictObject({
    header: z.string().regex(/^[A-Za-z0-9-]{1,64}$/, "a header's name is letters, digits and '-'"),
    value: z.string().max(1024).describe("Exactly."),
    ...besideSchema,
  }),
  z.strictObject({
    keys: z.array(z.string().min(1).max(256)).min(1).max(10_000).describe("Sticky keys of the callers of the group."),
    ...besideSchema,
  }),
]);

const trafficSchema = z.strictObject({
  sticky_header: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, "a header's name is letters, digits and '-'")
    .optional()
    .describe("Request header with the key whose requests go to one version; left out, `x-espalier-key`."),
  rules: z
    .array(ruleSchema)
    .max(100)
    .optional()
    .describe(
      "A/B: requests that fit a rule go to its version, whatever the weights say; the first that fits decides.",
    ),
  shadow: z
    .strictObject({ ...besideSchema, share: z.number().gt(0).max(1).optional().describe("Of requests; left out, 1.") })
    .optional()
    .describe("A version that is asked too; its answers are compared and thrown away."),
});

const limitsSchema = z.strictObject({
  concurrency: z.int().min(1).max(100_000).optional().describe("Requests in flight at one replica; left out, 256."),
  queue: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe("Requests that may wait for a version; further ones get 429. Left out, 1,024."),
  timeout: duration.optional().describe("Most that a request may take, waiting included; left out, 60s."),
  shadow_concurrency: z.int().min(1).max(10_000).optional().describe("Mirrored requests in flight; left out, 16."),
});

const serverSchema = z.strictObject({
  batch_rows: z.int().min(1).max(1_000_000).optional().describe("Rows that one run takes together; left out, 256."),
  onnx_threads: z.int().min(1).max(1024).optional().describe("Worker threads of a heavy ONNX model."),
  python: z
    .strictObject({
      workers: z.int().min(1).max(256).optional().describe("Processes with the model in memory; left out, 1."),
      timeout: duration.optional().describe("What one request may take; left out, 60s."),
      memory: z
        .string()
        .regex(sizePattern)
        .optional()
        .describe("Memory of one process, such as 2Gi; left out, four fifths of the machine's, shared among them."),
    })
    .optional()
    .describe("Of models that only Python can run."),
});

const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "a variable's name is letters, digits and '_'");
const urlPath = z.string().regex(/^\//, "a path begins with '/'");

const runtimeSchema = z.strictObject({
  command: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe("Program and arguments; `{port}` and `{model}` are replaced. With `image`: the container's arguments."),
  image: z.string().min(1).optional().describe("Container image, run by Podman."),
  container_port: z.int().min(1).max(65_535).optional().describe("Port inside the container."),
  port_variable: variableName.optional().describe("Environment variable that holds the port; left out, PORT."),
  environment: z.record(variableName, z.string()).optional().describe("Environment variables of the program."),
  health_path: urlPath.optional().describe("Answers 200 once the program can predict; left out, `/health`."),
  paths: z.array(urlPath).optional().describe("Beginnings of further paths that callers may reach."),
});

/** One endpoint of `endpoints:` in espalier.yaml. Without `model` it is settings of an endpoint that `deploy` makes. */
export const endpointSchema = z.strictObject({
  model: modelReference
    .optional()
    .describe("What is served: `models:/name@alias`, which is followed when it moves, or `models:/name/3`."),
  gate: z
    .literal("none")
    .optional()
    .describe("`none`: versions that no gate has let through are served too; recorded."),
  strategy: z
    .enum(strategyNames)
    .optional()
    .describe("How a new version takes over from the one before; left out, all at once."),
  rollout: rolloutSettingsSchema.optional().describe("Steps of the takeover, and what ends it."),
  replicas: z.int().min(1).max(100).optional().describe("Processes of each version; left out, 1."),
  port: z.int().min(0).max(65_535).optional().describe("Loopback port of the router; left out, it is chosen once."),
  capture_rate: share.optional().describe("Share of requests that are captured; the short form of `capture.rate`."),
  capture: captureSchema.optional().describe("What is kept of requests and answers."),
  traffic: trafficSchema.optional().describe("Who gets which version, beside the shares of a rollout."),
  limits: limitsSchema.optional().describe("What the router holds requests to."),
  server: serverSchema.optional().describe("How the built-in server runs each version."),
  runtime: runtimeSchema
    .optional()
    .describe("A program of your own that serves the model, instead of the built-in server."),
  monitors: z.array(nameSchema).optional().describe("Monitors of this endpoint, by their names under `monitors:`."),
});
export type EndpointConfig = z.infer<typeof endpointSchema>;
