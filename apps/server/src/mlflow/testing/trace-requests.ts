import type { RawFace } from "./raw-face.ts";

export const traces3 = "/api/3.0/mlflow/traces";
export const traces2 = "/api/2.0/mlflow/traces";

/** Sends spans as an exporter does; the status and the answer's text. */
export async function sendSpans(
  face: RawFace,
  body: Buffer | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; text: string; type: string | null }> {
  const answer = await face.send("/v1/traces", {
    method: "POST",
    headers: { "content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0", ...headers },
    body: typeof body === "string" ? body : new Uint8Array(body),
  });
  return { status: answer.status, text: await answer.text(), type: answer.headers.get("content-type") };
}

/** A trace with little more than an id. */
export async function startTrace(face: RawFace, id: string, changes: object = {}): Promise<void> {
  const answer = await face.call("POST", traces3, {
    trace: {
      trace_info: {
        trace_id: id,
        trace_location: { type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id: "0" } },
        request_time: "2026-11-25T22:31:23.883Z",
        state: "OK",
        ...changes,
      },
    },
  });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
}

/** Ids of the traces that a search finds, in its order. */
export async function findTraces(face: RawFace, filter: string, more: object = {}): Promise<string[]> {
  const answer = await face.call("POST", `${traces3}/search`, {
    locations: [{ type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id: "0" } }],
    filter,
    ...more,
  });
  if (answer.status !== 200) throw new Error(answer.body.message);
  return (answer.body.traces ?? []).map((trace: { trace_id: string }) => trace.trace_id);
}
