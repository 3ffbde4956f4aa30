/** The few routes of Airflow's public API (v2) that the suite needs. */
export interface AirflowClient {
  post(path: string, body: object): Promise<Answer>;
  get(path: string): Promise<Answer>;
  patch(path: string, body: object): Promise<Answer>;
  /** The DAG run's state and its tasks' once it has ended. */
  ended(dag: string, run: string): Promise<{ state: string; tasks: Record<string, string> }>;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of a server, read by hand.
type Answer = any;

export async function connectAirflow(url: string): Promise<AirflowClient> {
  const answer = await fetch(`${url}/auth/token`, { method: "GET" });
  if (!answer.ok) throw new Error(`Airflow's token: ${answer.status} ${await answer.text()}`);
  const { access_token: token } = (await answer.json()) as { access_token: string };
  const ask = async (method: string, path: string, body?: object): Promise<Answer> => {
    const response = await fetch(`${url}/api/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  const get = (path: string): Promise<Answer> => ask("GET", path);
  return {
    post: (path, body) => ask("POST", path, body),
    get,
    patch: (path, body) => ask("PATCH", path, body),
    async ended(dag, run) {
      const place = `/dags/${dag}/dagRuns/${encodeURIComponent(run)}`;
      for (;;) {
        const { state } = await get(place);
        if (state === "success" || state === "failed") {
          const { task_instances: rows } = await get(`${place}/taskInstances`);
          const tasks = rows.map((row: Answer): [string, string] => [row.task_id, row.state]);
          return { state, tasks: Object.fromEntries(tasks) };
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    },
  };
}
