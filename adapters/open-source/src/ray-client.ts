import { readFile } from "node:fs/promises";
import { type CallContext, EspalierError } from "@espalier/core";
import { z } from "zod";
import { parseJson } from "./parse-json.ts";
import type { RayConfig } from "./ray-config.ts";
import { checkRayVersion, fromRayAnswer, fromRayRequestError } from "./ray-errors.ts";
import { sendRequest } from "./ray-http.ts";
import { untilAborted } from "./ray-patience.ts";

const jobSchema = z.object({
  submission_id: z.string().nullish(),
  status: z.string(),
  message: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  /** Milliseconds since 1970. */
  end_time: z.number().nullish(),
});
export type RayJob = z.infer<typeof jobSchema>;

/** The slice of the Jobs REST API that the runner uses (Ray's `openapi.yml` of job submission, API version 4). */
export interface RayApi {
  /** CONFLICT: a job with this id is there already. */
  submit(job: RayJobRequest, context?: CallContext): Promise<void>;
  /** Undefined when Ray says that it knows no such job; never because it did not answer. */
  job(submissionId: string, context?: CallContext): Promise<RayJob | undefined>;
  jobs(context?: CallContext): Promise<RayJob[]>;
  /** The whole log; Ray offers no part of it. */
  logs(submissionId: string, context?: CallContext): Promise<string>;
  /** SIGTERM to the driver and, some seconds later, SIGKILL. A job that has ended is success. */
  stop(submissionId: string, context?: CallContext): Promise<void>;
  /** Takes a job that has ended off Ray's list. One that is not there is success. */
  forget(submissionId: string, context?: CallContext): Promise<void>;
  /** Puts bytes under `gcs://<name>` into the head's key-value store; an older value is replaced. */
  putPackage(name: string, bytes: Uint8Array, context?: CallContext): Promise<void>;
  hasPackage(name: string, context?: CallContext): Promise<boolean>;
}

export interface RayJobRequest {
  submission_id: string;
  entrypoint: string;
  metadata: Readonly<Record<string, string>>;
}

const requestMilliseconds = 60_000;

/** Reaches no network before the first call. */
export function connectRay(config: RayConfig): RayApi {
  const address = config.address.replace(/\/+$/, "");
  let checked: Promise<void> | undefined;

  async function send(method: string, path: string, what: string, body?: string | Uint8Array, context?: CallContext) {
    const token = await readToken(config);
    const timeout = AbortSignal.timeout(requestMilliseconds);
    const signal = context?.signal ? AbortSignal.any([context.signal, timeout]) : timeout;
    try {
      const { status, text } = await sendRequest(`${address}/api/${path}`, {
        method,
        signal,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(typeof body === "string" ? { "content-type": "application/json" } : {}),
        },
        ...(body === undefined ? {} : { body }),
      });
      return { status, text, refused: () => fromRayAnswer(status, text, what) };
    } catch (error) {
      throw fromRayRequestError(error, address, what);
    }
  }

  async function checkVersion(): Promise<void> {
    const answer = await send("GET", "version", "asking for its version");
    if (answer.status === 404) throw notRay(address, answer.text);
    if (answer.status !== 200) throw answer.refused();
    const version = z.looseObject({}).safeParse(parseJson(answer.text));
    if (!version.success) throw notRay(address, answer.text);
    checkRayVersion(version.data);
  }

  /** Every call that leads to another waits for the version; a check that failed is made again. */
  async function ask(method: string, path: string, what: string, body?: string | Uint8Array, context?: CallContext) {
    if (checked === undefined) {
      const check = checkVersion();
      checked = check;
      check.catch(() => {
        if (checked === check) checked = undefined;
      });
    }
    await untilAborted(checked, context?.signal);
    return send(method, path, what, body, context);
  }

  return {
    async submit(job, context) {
      const answer = await ask("POST", "jobs/", `submitting ${job.submission_id}`, JSON.stringify(job), context);
      if (answer.status !== 200) throw answer.refused();
    },
    async job(id, context) {
      const answer = await ask("GET", `jobs/${id}`, `asking for job ${id}`, undefined, context);
      if (saysMissing(answer)) return undefined;
      if (answer.status !== 200) throw answer.refused();
      return jobSchema.parse(parseJson(answer.text));
    },
    async jobs(context) {
      const answer = await ask("GET", "jobs/", "listing jobs", undefined, context);
      if (answer.status !== 200) throw answer.refused();
      return z.array(jobSchema).parse(parseJson(answer.text));
    },
    async logs(id, context) {
      const answer = await ask("GET", `jobs/${id}/logs`, `reading the log of job ${id}`, undefined, context);
      if (answer.status !== 200) throw answer.refused();
      return z.object({ logs: z.string().nullish() }).parse(parseJson(answer.text)).logs ?? "";
    },
    async stop(id, context) {
      const answer = await ask("POST", `jobs/${id}/stop`, `stopping job ${id}`, undefined, context);
      if (answer.status !== 200 && !saysMissing(answer)) throw answer.refused();
    },
    async forget(id, context) {
      const answer = await ask("DELETE", `jobs/${id}`, `deleting job ${id}`, undefined, context);
      if (answer.status !== 200 && !saysMissing(answer)) throw answer.refused();
    },
    async putPackage(name, bytes, context) {
      const answer = await ask("PUT", `packages/gcs/${name}`, `uploading ${name}`, bytes, context);
      if (answer.status !== 200) throw answer.refused();
    },
    async hasPackage(name, context) {
      const answer = await ask("GET", `packages/gcs/${name}`, `looking for ${name}`, undefined, context);
      if (saysMissing(answer)) return false;
      if (answer.status !== 200) throw answer.refused();
      return true;
    },
  };
}

/** Only in Ray's own words: what stands before a head that is started anew may answer 404 too. */
const saysMissing = ({ status, text }: { status: number; text: string }): boolean =>
  status === 404 && /^(?:Job|Package) \S+ does not exist/.test(text);

function notRay(address: string, text: string): EspalierError {
  return new EspalierError("UNSUPPORTED", `What answers at ${address} is not Ray's job server: ${text.slice(0, 200)}`, {
    at: "compute",
    hint: "`with.address` is that of the head's dashboard, port 8265 unless told otherwise.",
  });
}

async function readToken({ token_file, token_variable }: RayConfig): Promise<string | undefined> {
  if (token_file === undefined) return process.env[token_variable ?? "RAY_AUTH_TOKEN"] || undefined;
  try {
    return (await readFile(token_file, "utf8")).trim();
  } catch (cause) {
    throw new EspalierError("UNAUTHENTICATED", `The Ray token can not be read from ${token_file}: ${String(cause)}`, {
      cause,
      at: "compute",
      hint: "`ray get-auth-token` on the head prints it.",
    });
  }
}
