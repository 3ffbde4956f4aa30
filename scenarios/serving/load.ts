import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** What a version should answer to a row of two numbers. */
export type Expected = ReadonlyMap<string, (a: number, b: number) => number>;

export interface Tally {
  requests: number;
  failures: number;
  /** By version that answered. */
  versions: Record<string, number>;
  /** A few of the failures, as text. */
  examples: string[];
  slowestSeconds: number;
}

export interface Load {
  tally(): Tally;
  /** Resolves once so many requests are answered. */
  reach(count: number): Promise<void>;
  /** Ends after the requests that are under way. */
  stop(): Promise<Tally>;
}

interface Answer {
  status: number;
  version: string | undefined;
  text: string;
}

/** As MLflow's clients ask, and as Triton's do; some connections are kept, some are made for each request, some callers have a key. */
const forms = [
  { keepAlive: true, protocol: "mlflow", key: undefined },
  { keepAlive: true, protocol: "v2", key: undefined },
  { keepAlive: true, protocol: "mlflow", key: "customer" },
  { keepAlive: false, protocol: "mlflow", key: undefined },
] as const;

/**
 * Asks without pause from `callers` callers at once, and holds every answer against the version that it says it comes from. Nothing is asked
 * twice here: a connection that breaks is a failure.
 */
export function startLoad(url: () => string, expected: Expected, callers: number): Load {
  const tally: Tally = { requests: 0, failures: 0, versions: {}, examples: [], slowestSeconds: 0 };
  const agent = new Agent({ keepAlive: true, maxSockets: callers });
  let going = true;

  function fail(what: string): void {
    tally.failures++;
    if (tally.examples.length < 20) tally.examples.push(`${new Date().toISOString()} ${what}`);
  }

  async function caller(index: number): Promise<void> {
    const form = forms[index % forms.length] as (typeof forms)[number];
    while (going) {
      const [a, b] = [Math.random() * 4 - 2, Math.random() * 4 - 2];
      const started = performance.now();
      try {
        const answer = await ask(url(), form, form.keepAlive ? agent : undefined, [a, b], index);
        const wrong = fault(answer, form.protocol, a, b);
        if (wrong !== undefined) fail(wrong);
      } catch (error) {
        fail(`no answer: ${error instanceof Error ? `${(error as { code?: string }).code} ${error.message}` : error}`);
      }
      tally.requests++;
      tally.slowestSeconds = Math.max(tally.slowestSeconds, (performance.now() - started) / 1000);
    }
  }

  /** What is wrong with the answer. */
  function fault(
    { status, version = "none", text }: Answer,
    protocol: "mlflow" | "v2",
    a: number,
    b: number,
  ): string | undefined {
    tally.versions[version] = (tally.versions[version] ?? 0) + 1;
    if (status !== 200) return `${status} of version ${version}: ${text.slice(0, 300)}`;
    const wanted = expected.get(version)?.(a, b);
    const given = predictionOf(protocol, text);
    if (wanted !== undefined && given !== undefined && Math.abs(given - wanted) < 1e-5) return undefined;
    return `version ${version} answered ${given} to [${a}, ${b}], not ${wanted}: ${text.slice(0, 200)}`;
  }

  const work = Array.from({ length: callers }, (_, index) => caller(index));
  return {
    tally: () => ({ ...tally }),
    async reach(count) {
      while (tally.requests < count) await delay(20);
    },
    async stop() {
      going = false;
      await Promise.all(work);
      agent.destroy();
      return tally;
    },
  };
}

function ask(
  url: string,
  { protocol, key }: (typeof forms)[number],
  agent: Agent | undefined,
  [a, b]: readonly [number, number],
  index: number,
): Promise<Answer> {
  const body =
    protocol === "mlflow"
      ? JSON.stringify({ dataframe_split: { columns: ["a", "b"], data: [[a, b]] } })
      : JSON.stringify({ inputs: [tensor("a", a), tensor("b", b)] });
  const path = protocol === "mlflow" ? "/invocations" : "/v2/models/soak/infer";
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...(key === undefined ? {} : { "x-espalier-key": `${key}-${index}` }),
  };
  return new Promise((resolve, reject) => {
    const call = request(`${url}${path}`, { method: "POST", agent: agent ?? false, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          version: response.headers["x-espalier-model-version"] as string | undefined,
          text: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    call.on("error", reject).end(body);
  });
}

const tensor = (name: string, value: number) => ({ name, shape: [1], datatype: "FP64", data: [value] });

/** The one number of an answer; MLflow puts a value without a name under `"0"`. */
function predictionOf(protocol: "mlflow" | "v2", text: string): number | undefined {
  const json = JSON.parse(text) as { predictions?: unknown[]; outputs?: { data: unknown[] }[] };
  const found = protocol === "mlflow" ? json.predictions?.flat(3)[0] : json.outputs?.[0]?.data.flat(3)[0];
  const value = typeof found === "object" && found !== null ? Object.values(found)[0] : found;
  return typeof value === "number" ? value : undefined;
}
