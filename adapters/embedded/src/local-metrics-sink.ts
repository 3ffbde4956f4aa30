import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { EspalierError, type MetricSample, type MetricsSink, type ToolManifest } from "@espalier/core";
import { z } from "zod";
import { fromDiskError, hasSystemCode } from "./disk-errors.ts";

export const localMetricsConfigSchema = z.strictObject({
  /** Folder that holds one file of JSON lines a day (UTC, by the samples' own time). */
  path: z.string().min(1),
  /** Days that are kept, the newest; 400 unless told. */
  days: z.int().positive().optional(),
  /** Samples that one query may return; 100,000 unless told. */
  query_samples: z.int().positive().optional(),
});
export type LocalMetricsConfig = z.infer<typeof localMetricsConfigSchema>;

export const localMetricsManifest: ToolManifest = {
  tool: "local",
  provider: "embedded",
  component: "metrics",
  milestone: 12,
  summary: "Operational samples in files of JSON lines, one a day",
  capabilities: ["query"],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    lockIn: 0,
    wayOut: "JSON lines",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "disk space", operations: "none" },
  verified: { label: "real", against: "Linux", live: "not applicable" },
};

const dayMilliseconds = 24 * 60 * 60 * 1000;

/** JSON has no NaN; names are short because every line has them. Lenient: a line that a crash cut off is no sample. */
const lineSchema = z.object({
  n: z.string(),
  l: z.record(z.string(), z.string()),
  v: z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]),
  t: z.number(),
});

/** For one process at a time; each batch is one append, so a kill loses at most a batch that was not acknowledged. */
export function createLocalMetricsSink(config: LocalMetricsConfig): MetricsSink {
  const keptDays = config.days ?? 400;
  const largestQuery = config.query_samples ?? 100_000;
  let writing: Promise<void> = Promise.resolve();
  const begun = new Set<string>();

  async function append(samples: readonly MetricSample[]): Promise<void> {
    await mkdir(config.path, { recursive: true });
    for (const [day, some] of Map.groupBy(samples, (sample) => dayOf(sample.timestamp))) {
      const path = join(config.path, `${day}.jsonl`);
      await appendLines(path, some.map(renderLine).join(""), !begun.has(day));
      if (begun.has(day)) continue;
      begun.add(day);
      await removeOldDays(config.path, keptDays);
    }
  }

  return {
    write(samples) {
      if (samples.length === 0) return Promise.resolve();
      const done = writing
        .then(() => append(samples))
        .catch((error: unknown) => {
          throw fromDiskError(error, config.path);
        });
      writing = done.catch(() => undefined);
      return done;
    },
    async query(name, labels, from, to) {
      const wanted = Object.entries(labels);
      const found = new Map<string, MetricSample>();
      for (const day of await daysBetween(config.path, from, to)) {
        for await (const sample of readDay(join(config.path, `${day}.jsonl`))) {
          if (sample.name !== name || sample.timestamp < from || sample.timestamp >= to) continue;
          if (!wanted.every(([label, value]) => sample.labels[label] === value)) continue;
          found.set(
            JSON.stringify([sample.timestamp, Object.entries(sample.labels).sort(), String(sample.value)]),
            sample,
          );
          if (found.size > largestQuery) throw tooMany(name, largestQuery);
        }
      }
      return [...found.values()].sort((a, b) => a.timestamp - b.timestamp);
    },
  };
}

const tooMany = (name: string, limit: number): EspalierError =>
  new EspalierError("TOO_LARGE", `The query for ${name} has more than ${limit} samples`, {
    hint: "Ask for a shorter time, or for more labels.",
  });

const dayOf = (timestamp: number): string => new Date(timestamp).toISOString().slice(0, 10);

function renderLine({ name, labels, value, timestamp }: MetricSample): string {
  const v = Number.isFinite(value) ? value : String(value);
  return `${JSON.stringify({ n: name, l: labels, v, t: timestamp })}\n`;
}

async function appendLines(path: string, lines: string, first: boolean): Promise<void> {
  const handle = await open(path, "a+");
  try {
    const { size } = await handle.stat();
    const isCutOff = first && size > 0 && (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== 0x0a;
    // Otherwise the first new line would be lost together with the one that a crash cut off.
    await handle.appendFile(isCutOff ? `\n${lines}` : lines);
  } finally {
    await handle.close();
  }
}

async function dayFiles(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => /^[+-]?\d+-\d\d-\d\d\.jsonl$/.test(name))
      .map((name) => name.slice(0, -6))
      .sort();
  } catch (error) {
    if (hasSystemCode(error, "ENOENT")) return [];
    throw fromDiskError(error, folder);
  }
}

async function daysBetween(folder: string, from: number, to: number): Promise<string[]> {
  return (await dayFiles(folder)).filter((day) => {
    const start = Date.parse(day);
    return start < to && start + dayMilliseconds > from;
  });
}

/** Counted by files, not by the clock: simulated traffic has the times of its data. */
async function removeOldDays(folder: string, keptDays: number): Promise<void> {
  for (const day of (await dayFiles(folder)).slice(0, -keptDays))
    await rm(join(folder, `${day}.jsonl`), { force: true });
}

async function* readDay(path: string): AsyncGenerator<MetricSample> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) {
    const parsed = lineSchema.safeParse(parseJson(line));
    if (!parsed.success) continue;
    const { n, l, v, t } = parsed.data;
    yield { name: n, labels: l, value: Number(v), timestamp: t };
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
