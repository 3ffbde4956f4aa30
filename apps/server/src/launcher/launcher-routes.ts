import { Readable } from "node:stream";
import {
  apiPrefix,
  launcherAppendQuerySchema,
  launcherExitSchema,
  launcherOutputsSchema,
  launcherRunsSchema,
} from "@espalier/contract";
import { EspalierError, terminalRunStates } from "@espalier/core";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ControlPlane } from "../control-plane.ts";
import { importAttemptRuns } from "../transfer/import-attempt-runs.ts";

/** Bytes of log or events in one request. */
const largestAppend = 8 * 1024 * 1024;
const largestManifestBody = 64 * 1024 * 1024;

/** Tells launchers of one attempt apart: each chooses a name at its start. */
const launcherHeader = "x-espalier-launcher";

interface Place {
  Params: { id: string; name: string; sha256: string };
}

/** What an attempt that runs elsewhere may call, each with the token of that attempt: see docs/launcher-protocol.md. */
export function registerLauncherRoutes(app: FastifyInstance, plane: ControlPlane): void {
  const { remoteAttempts } = plane;
  const base = `${apiPrefix}/attempts/:id`;
  const config = { policy: "attempt" } as const;

  app.get<Place>(`${base}/manifest`, { config }, async ({ params, headers }) => {
    const manifest = await remoteAttempts.manifest(params.id);
    const launcher = headers[launcherHeader];
    // Members of a gang other than the first send none, nor did launchers before there were claims.
    if (typeof launcher === "string" && !(await plane.record.engine.claimAttempt(params.id, `launcher ${launcher}`))) {
      throw new EspalierError("CONFLICT", `Another launcher has begun attempt ${params.id}`, {
        details: { claimed: true },
      });
    }
    return manifest;
  });
  app.get<Place>(`${base}/exit`, { config }, ({ params }) => remoteAttempts.standing(params.id));
  app.get<Place & { Querystring: { path: string } }>(
    `${base}/inputs/:name`,
    { config, schema: { querystring: z.object({ path: z.string().default("") }) } },
    async ({ params, query }, reply) => {
      const { size, body } = await remoteAttempts.openInput(params.id, params.name, query.path);
      reply.header("content-length", size).type("application/octet-stream");
      return reply.send(Readable.from(body, { objectMode: false }));
    },
  );
  for (const file of ["log", "events"] as const) {
    app.post<Place & { Querystring: { offset: number } }>(
      `${base}/${file}`,
      { config, bodyLimit: largestAppend, schema: { querystring: launcherAppendQuerySchema } },
      async (request) => {
        const bytes = await bytesOf(request);
        const { next } = await remoteAttempts.append(request.params.id, file, request.query.offset, bytes);
        return { next, cancel: await isCancelled(plane, request) };
      },
    );
  }
  app.post<Place & { Body: z.infer<typeof launcherOutputsSchema> }>(
    `${base}/outputs`,
    { config, bodyLimit: largestManifestBody, schema: { body: launcherOutputsSchema } },
    async ({ params, body }) => {
      const { missing } = await remoteAttempts.declareOutputs(params.id, body.outputs);
      return { missing: toUpload(params.id, missing) };
    },
  );
  app.post<Place & { Body: z.infer<typeof launcherRunsSchema> }>(
    `${base}/mlruns`,
    { config, bodyLimit: largestManifestBody, schema: { body: launcherRunsSchema } },
    async ({ params, body }) => {
      const { missing } = await remoteAttempts.declareRuns(params.id, body.files);
      if (missing.length === 0) await importAttemptRuns(plane, params.id, await remoteAttempts.layOutRuns(params.id));
      return { missing: toUpload(params.id, missing) };
    },
  );
  app.put<Place>(`${base}/blobs/:sha256`, { config, bodyLimit: Number.MAX_SAFE_INTEGER }, async ({ params, body }) => {
    await remoteAttempts.putBlob(params.id, params.sha256, streamOf(body));
    return { done: true };
  });
  app.post<Place & { Body: z.infer<typeof launcherExitSchema> }>(
    `${base}/exit`,
    { config, schema: { body: launcherExitSchema } },
    async ({ params, body }) => {
      const { exitCode, cancelled, error } = body;
      await remoteAttempts.exit(params.id, {
        exitCode,
        ...(cancelled === undefined ? {} : { cancelled }),
        ...(error === undefined ? {} : { error }),
      });
      return { done: true };
    },
  );
}

function toUpload(attemptId: string, missing: readonly { sha256: string }[]) {
  return missing.map(({ sha256 }) => ({
    sha256,
    url: `${apiPrefix}/attempts/${encodeURIComponent(attemptId)}/blobs/${sha256}`,
    headers: { "content-type": "application/octet-stream" },
  }));
}

function streamOf(body: unknown): AsyncIterable<Uint8Array> {
  if (body instanceof Readable) return body;
  throw new EspalierError("INVALID_INPUT", "The body must be bytes", {
    at: "headers.content-type",
    hint: "Send `content-type: application/octet-stream`.",
  });
}

async function bytesOf(request: FastifyRequest): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of streamOf(request.body)) {
    size += chunk.length;
    if (size > largestAppend) throw new EspalierError("TOO_LARGE", `One request holds at most ${largestAppend} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function isCancelled({ record }: ControlPlane, { principal }: FastifyRequest): Promise<boolean> {
  if (principal?.grant.kind !== "attempt") return false;
  const run = await record.runs.get(principal.grant.runId);
  return run === undefined || run.cancelRequested || terminalRunStates.includes(run.state);
}
