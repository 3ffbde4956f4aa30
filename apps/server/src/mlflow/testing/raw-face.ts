import { randomUUID } from "node:crypto";
import type { TestDatabase } from "../../db/testing/databases.ts";
import { makeProject, startForTest } from "../../testing/control-plane.ts";
import { parseJson } from "../int64-json.ts";

export interface RawAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where it is not there.
  body: any;
}

/** The MLflow face of a real control plane, as plain HTTP. */
export interface RawFace {
  url: string;
  token: string;
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<RawAnswer>;
  send(path: string, init: RequestInit): Promise<Response>;
}

/** A control plane of a project of its own on the test's database; closed after the test. */
export async function startRawFace(database: TestDatabase): Promise<RawFace> {
  const directory = await makeProject({ "espalier.yaml": `project: p-${randomUUID().slice(0, 8)}\n` });
  const databaseUrl = "postgresUrl" in database.location ? database.location.postgresUrl : "";
  const { url, token } = await startForTest(directory, { databaseUrl });
  const send = (path: string, init: RequestInit): Promise<Response> => fetch(`${url}${path}`, init);
  return {
    url,
    token,
    send,
    call: async (method, path, body, headers = {}) => {
      const answer = await send(path, {
        method,
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: parseJson(await answer.text()) };
    },
  };
}
