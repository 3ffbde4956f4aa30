import { request } from "node:http";

/**
 * MLflow's REST, as much of it as the benchmark needs. Each request has a connection of its own: a server that closes an idle one at the
 * moment when it is used again would spoil a measure.
 */
export function post<Answer>(url: string, path: string, body: unknown): Promise<Answer> {
  return send("POST", `${url}/api/2.0/mlflow/${path}`, JSON.stringify(body));
}

export function get<Answer>(url: string, path: string, query: Readonly<Record<string, string>>): Promise<Answer> {
  return send("GET", `${url}/api/2.0/mlflow/${path}?${new URLSearchParams(query)}`);
}

/** A request that takes longer is given up. */
export const longestSeconds = 300;

function send<Answer>(method: string, url: string, body = ""): Promise<Answer> {
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(longestSeconds * 1000);
    const call = request(url, { method, headers, agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(JSON.parse(text) as Answer);
        else reject(new Error(`${method} ${url}: ${response.statusCode} ${text.slice(0, 300)}`));
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

let made = 0;

export async function newExperiment(url: string): Promise<string> {
  made += 1;
  const name = `bench-${Date.now()}-${made}`;
  return (await post<{ experiment_id: string }>(url, "experiments/create", { name })).experiment_id;
}

export async function newRun(url: string, experimentId: string): Promise<string> {
  const body = { experiment_id: experimentId, start_time: Date.now() };
  return (await post<{ run: { info: { run_id: string } } }>(url, "runs/create", body)).run.info.run_id;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
