import { readFileSync } from "node:fs";

interface Counted {
  runs: number;
  acknowledged: number;
  /** What was acknowledged and is not there, or has another value. */
  lost: string[];
  /** Points that a retry has stored a second time. */
  twice: string[];
  /** What clients were told after their retries. */
  errors: string[];
}

/** What a client was told is stored, of one run. */
interface Expected {
  id: string;
  params: Record<string, string>;
  metrics: Record<string, number>;
  tags: Record<string, string>;
  /** Value by step. */
  loss: Map<number, number>;
  status: string | undefined;
}

interface Line {
  run?: string;
  params?: Record<string, string>;
  metrics?: Record<string, number>;
  tags?: Record<string, string>;
  loss?: number;
  value?: number;
  status?: string;
  error?: string;
  done?: number;
}

/** Reads every acknowledged write back from the server. */
export async function countLedgers(url: string, ledgers: readonly string[]): Promise<Counted> {
  const counted: Counted = { runs: 0, acknowledged: 0, lost: [], twice: [], errors: [] };
  const expected: Expected[] = [];
  for (const ledger of ledgers) expected.push(...readLedger(ledger, counted));
  counted.runs = expected.length;
  const waiting = expected.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const one of waiting) await compare(url, one, counted);
    }),
  );
  return counted;
}

function readLedger(path: string, counted: Counted): Expected[] {
  const runs = new Map<string, Expected>();
  let done = false;
  for (const text of readFileSync(path, "utf8").split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text) as Line;
    if (line.error !== undefined) counted.errors.push(line.error);
    done ||= line.done !== undefined;
    if (line.run === undefined) continue;
    counted.acknowledged += 1;
    const nothing: Expected = { id: line.run, params: {}, metrics: {}, tags: {}, loss: new Map(), status: undefined };
    const run = runs.get(line.run) ?? nothing;
    runs.set(line.run, run);
    Object.assign(run.params, line.params);
    Object.assign(run.metrics, line.metrics);
    Object.assign(run.tags, line.tags);
    if (line.loss !== undefined) run.loss.set(line.loss, line.value ?? Number.NaN);
    run.status = line.status ?? run.status;
  }
  if (!done) counted.errors.push(`A client ended before its time: ${path}`);
  return [...runs.values()];
}

interface RunAnswer {
  run: {
    info: { status: string };
    data: {
      params?: { key: string; value: string }[];
      tags?: { key: string; value: string }[];
      metrics?: { key: string; value: number }[];
    };
  };
}

async function compare(url: string, expected: Expected, counted: Counted): Promise<void> {
  const { id } = expected;
  const answer = await get<RunAnswer>(`${url}/api/2.0/mlflow/runs/get?run_id=${id}`);
  if (answer === undefined) {
    counted.lost.push(`run ${id}`);
    return;
  }
  const { info, data } = answer.run;
  for (const name of ["params", "metrics", "tags"] as const) {
    const found = new Map<string, string | number>((data[name] ?? []).map(({ key, value }) => [key, value]));
    for (const [key, value] of Object.entries(expected[name])) {
      if (found.get(key) !== value) counted.lost.push(`run ${id}: ${name} ${key} is ${found.get(key)}, not ${value}`);
    }
  }
  if (expected.status !== undefined && info.status !== expected.status) {
    counted.lost.push(`run ${id}: status is ${info.status}`);
  }
  const history = await get<{ metrics?: { step?: number; value: number }[] }>(
    `${url}/api/2.0/mlflow/metrics/get-history?run_id=${id}&metric_key=loss&max_results=1000`,
  );
  const points = history?.metrics ?? [];
  for (const [step, value] of expected.loss) {
    const found = points.filter((point) => (point.step ?? 0) === step);
    if (!found.some((point) => point.value === value)) counted.lost.push(`run ${id}: loss of step ${step}`);
    if (found.length > 1) counted.twice.push(`run ${id}: loss of step ${step}, ${found.length} times`);
  }
}

/** undefined: there is none. */
async function get<Answer>(address: string): Promise<Answer | undefined> {
  const response = await fetch(address);
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${address}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}
