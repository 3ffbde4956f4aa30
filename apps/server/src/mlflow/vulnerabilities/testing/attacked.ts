import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect } from "vitest";
import { makeProject, startForTest } from "../../../testing/control-plane.ts";
import { type WireAnswer, wire } from "../../artifacts/testing/wire.ts";

/** A real control plane with a run of its own, and a secret on the disk beside it that nobody may get. */
export interface Attacked {
  url: string;
  token: string;
  directory: string;
  runId: string;
  /** Folder of the run's files, below the artifact proxy. */
  files: string;
  secret: { path: string; text: string };
  /** As a process of this machine without a token, unless the headers say otherwise. */
  send(method: string, path: string, body?: string | Uint8Array, headers?: Record<string, string>): Promise<WireAnswer>;
  post(path: string, body: object, headers?: Record<string, string>): Promise<WireAnswer>;
}

export const api = "/api/2.0/mlflow";
export const proxy = "/api/2.0/mlflow-artifacts/artifacts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export async function attack(yaml = "project: flights\n"): Promise<Attacked> {
  const outside = mkdtempSync(join(tmpdir(), "espalier-secret-"));
  folders.push(outside);
  const secret = { path: join(outside, "passwd"), text: `root:x:0:0:${outside}` };
  writeFileSync(secret.path, secret.text);
  const directory = await makeProject({ "espalier.yaml": yaml });
  const { url, token } = await startForTest(directory);
  const send: Attacked["send"] = (method, path, body, headers = {}) =>
    wire(url, method, path, body, {
      // Node leaves it out for some methods.
      ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
      ...headers,
    });
  const post: Attacked["post"] = (path, body, headers = {}) =>
    send("POST", path, JSON.stringify(body), { "content-type": "application/json", ...headers });
  const made = await post(`${api}/runs/create`, { experiment_id: "0" }, { authorization: `Bearer ${token}` });
  const { run_id: runId, artifact_uri: uri } = made.json().run.info as { run_id: string; artifact_uri: string };
  const files = uri.replace(/^mlflow-artifacts:\/*/, "");
  return { url, token, directory, runId, files, secret, send, post };
}

/** Refused with 4xx, in MLflow's form, telling nothing of this machine. */
export function expectRefused(answer: WireAnswer, what: string, status?: number): void {
  const text = answer.body.toString("utf8");
  expect(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status} ${text.slice(0, 300)}`).toBe(true);
  if (status !== undefined) expect(answer.status, what).toBe(status);
  expectQuiet(answer, what);
}

const told =
  /\n\s+at .+:\d+|node_modules|\.ts:\d+|\b(SELECT|INSERT INTO|UPDATE|DELETE FROM) .*\b(FROM|VALUES|SET|WHERE)\b|SQLITE_|\bsqlite\b|espalier-server-|record\.db/i;

/** No stack, SQL, or place on this machine's disk. */
export function expectQuiet(answer: WireAnswer, what: string): void {
  expect(answer.body.toString("utf8"), what).not.toMatch(told);
}
