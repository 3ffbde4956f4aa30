import { readdir, readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { EspalierError, type Json, nameSchema, parameterSchema } from "@espalier/core";
import { readYamlDocument } from "@espalier/host";
import { z } from "zod";

const day = z.iso.date();

export const simulationFileSchema = z
  .strictObject({
    endpoint: nameSchema,
    /** First day that is replayed, and the day after the last. */
    from: day,
    to: day,
    traffic: z.strictObject({
      /** Run first (from the cache where it can be); one of its outputs holds the rows. */
      pipeline: nameSchema,
      params: z.record(z.string(), parameterSchema).default({}),
      /** `step.output`: a table with the model's inputs, the label and the time. */
      output: z.string().regex(/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/, "write `step.output`, such as `features.traffic`"),
      /** Column with each row's time (UTC). */
      time: z.string(),
    }),
    labels: z.strictObject({
      column: z.string(),
      /** The label of a row of day d arrives at the beginning of day d + this. */
      delay_days: z.int().min(1).max(60),
    }),
    /** Share of the rows that travels as requests of one row; the rest travels in batches. */
    single_share: z.number().min(0).max(1).default(0.05),
    batch_rows: z.int().min(2).max(20_000).default(4000),
    /** Requests of one row under way at one time. */
    concurrency: z.int().min(1).max(256).default(16),
    seed: z.int().nonnegative().default(1),
  })
  .refine((file) => file.from < file.to, {
    message: "`to` is the day after the last, so it comes after `from`",
    path: ["to"],
  });
export type SimulationFile = z.output<typeof simulationFileSchema>;

const folder = "simulations";

/** Reads a simulation's file, or the project's only one for the endpoint, with what the caller overrides. */
export async function readSimulationFile(
  projectDirectory: string,
  request: { endpoint: string; config?: string | undefined; overrides?: Readonly<Record<string, Json | undefined>> },
): Promise<{ path: string; file: SimulationFile }> {
  const path = request.config ?? (await onlyFile(projectDirectory));
  const absolute = resolve(projectDirectory, path);
  if (relative(projectDirectory, absolute).startsWith("..")) {
    throw new EspalierError("PERMISSION_DENIED", "A simulation's file lies inside the project", { at: path });
  }
  const text = await readFile(absolute, "utf8").catch((cause: unknown) => {
    throw new EspalierError("NOT_FOUND", `The simulation ${path} can not be read`, { cause, at: path });
  });
  const document = readYamlDocument(text, path);
  const [fault] = document.faults;
  if (fault !== undefined) throw new EspalierError("INVALID_CONFIG", fault.message, { at: fault.at ?? path });
  const given = Object.fromEntries(Object.entries(request.overrides ?? {}).filter(([, value]) => value !== undefined));
  const parsed = simulationFileSchema.safeParse({ ...(document.value as object), ...given });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new EspalierError("INVALID_CONFIG", issue?.message ?? "This is not a simulation", {
      at: document.locate((issue?.path ?? []).map(String)),
    });
  }
  if (parsed.data.endpoint !== request.endpoint) {
    throw new EspalierError(
      "INVALID_INPUT",
      `${path} is about the endpoint ${parsed.data.endpoint}, not ${request.endpoint}`,
      {
        at: document.locate(["endpoint"]),
        hint: `\`espalier simulate ${parsed.data.endpoint}\``,
      },
    );
  }
  return { path, file: parsed.data };
}

async function onlyFile(projectDirectory: string): Promise<string> {
  const names = (await readdir(join(projectDirectory, folder)).catch(() => [])).filter((name) => /\.ya?ml$/.test(name));
  const [only, second] = names;
  if (only !== undefined && second === undefined) return `${folder}/${only}`;
  throw new EspalierError(
    only === undefined ? "NOT_FOUND" : "INVALID_INPUT",
    only === undefined
      ? `The project has no file under ${folder}/`
      : `The project has several simulations: ${names.join(", ")}`,
    { at: folder, hint: `\`espalier simulate <endpoint> --config ${folder}/<file>\` names one.` },
  );
}
