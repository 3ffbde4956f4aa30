import { readFile } from "node:fs/promises";
import { type CallContext, EspalierError } from "@espalier/core";
import { z } from "zod";
import { parseJson } from "./parse-json.ts";
import type { SlurmConfig } from "./slurm-config.ts";
import { fromFetchError, fromSlurmAnswer, invalidJobId, numberOf, tokenFault } from "./slurm-errors.ts";

/** The slice of the REST service v0.0.38 that the runner uses, with the names of its OpenAPI description. */
export interface SlurmApi {
  /** The new job's id. */
  submit(request: { script: string; job: SlurmJobProperties }, context?: CallContext): Promise<number>;
  /** Undefined when Slurm says that it knows no such job; never because it did not answer. */
  job(id: number, context?: CallContext): Promise<SlurmJob | undefined>;
  jobs(context?: CallContext): Promise<SlurmJob[]>;
  /** SIGCONT and SIGTERM, after the cluster's KillWait SIGKILL. A job that is not there, or has ended, is success. */
  cancel(id: number, context?: CallContext): Promise<void>;
}

export interface SlurmJobProperties {
  name: string;
  comment: string;
  environment: Readonly<Record<string, string>>;
  current_working_directory: string;
  standard_output: string;
  open_mode: "append";
  tasks: 1;
  /** Not in the description, but the server takes it; its `requeue: false` means true. */
  no_requeue: true;
  cpus_per_task?: number;
  /** MiB */
  memory_per_node?: number;
  gres?: string;
  /** Minutes. */
  time_limit?: number;
  partition?: string;
  account?: string;
  qos?: string;
}

const jobSchema = z.object({
  job_id: z.number(),
  name: z.string().nullish(),
  comment: z.string().nullish(),
  user_name: z.string().nullish(),
  job_state: z.string(),
  state_reason: z.string().nullish(),
  /** As wait(2) gives it: exit code times 256, plus the signal. */
  exit_code: z.number().nullish(),
  restart_cnt: z.number().nullish(),
  /** Empty while, and if, it was never started. */
  nodes: z.string().nullish(),
  time_limit: z.number().nullish(),
});
export type SlurmJob = z.infer<typeof jobSchema>;

const faultSchema = z.object({
  error: z.string().nullish(),
  error_number: z.number().nullish(),
  error_code: z.number().nullish(),
  description: z.string().nullish(),
});
const answerSchema = z.object({
  errors: z.array(faultSchema).default([]),
  job_id: z.number().nullish(),
  jobs: z.array(z.unknown()).nullish(),
});

/** slurmrestd itself waits up to 20 s for a controller that is away. */
const requestMilliseconds = 60_000;
const base = "slurm/v0.0.38";

/** Reaches no network before the first call. */
export function connectSlurm(config: SlurmConfig): SlurmApi {
  const endpoint = config.endpoint.replace(/\/+$/, "");

  async function ask(method: string, path: string, what: string, body?: unknown, context?: CallContext) {
    const token = await readToken(config);
    const timeout = AbortSignal.timeout(requestMilliseconds);
    const signal = context?.signal ? AbortSignal.any([context.signal, timeout]) : timeout;
    let status: number;
    let text: string;
    try {
      const response = await fetch(`${endpoint}/${base}/${path}`, {
        method,
        signal,
        headers: {
          "X-SLURM-USER-NAME": config.user,
          "X-SLURM-USER-TOKEN": token,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      status = response.status;
      text = await response.text();
    } catch (error) {
      throw fromFetchError(error, endpoint, what);
    }
    const answer = answerSchema.safeParse(parseJson(text));
    if (!answer.success) throw fromSlurmAnswer(status, [{ description: text.slice(0, 500) }], what);
    return { status, refused: () => fromSlurmAnswer(status, answer.data.errors, what), ...answer.data };
  }

  return {
    async submit(request, context) {
      const answer = await ask("POST", "job/submit", `submitting ${request.job.name}`, request, context);
      // With some numbers (2015) the job is accepted all the same, and waits until the partition can give what it asks for.
      if (answer.status === 200 && answer.job_id) return answer.job_id;
      throw answer.refused();
    },
    async job(id, context) {
      const answer = await ask("GET", `job/${id}`, `asking for job ${id}`, undefined, context);
      if (answer.errors.some((fault) => numberOf(fault) === invalidJobId)) return undefined;
      if (answer.status !== 200 || answer.errors.length > 0) throw answer.refused();
      return answer.jobs?.[0] === undefined ? undefined : jobSchema.parse(answer.jobs[0]);
    },
    async jobs(context) {
      const answer = await ask("GET", "jobs", "listing jobs", undefined, context);
      if (answer.status !== 200 || answer.errors.length > 0) throw answer.refused();
      return (answer.jobs ?? []).map((job) => jobSchema.parse(job));
    },
    async cancel(id, context) {
      const answer = await ask("DELETE", `job/${id}`, `cancelling job ${id}`, undefined, context);
      if (answer.errors.some((fault) => numberOf(fault) === invalidJobId)) return;
      if (answer.status !== 200 || answer.errors.length > 0) throw answer.refused();
    },
  };
}

async function readToken(config: SlurmConfig): Promise<string> {
  const token = config.token_file === undefined ? tokenOfVariable(config) : await tokenOfFile(config.token_file);
  const fault = tokenFault(token, Date.now() / 1_000);
  if (fault) throw fault;
  return token;
}

function tokenOfVariable(config: SlurmConfig): string {
  const name = config.token_variable ?? "SLURM_JWT";
  const value = process.env[name];
  if (value) return value;
  throw new EspalierError("UNAUTHENTICATED", `The environment variable ${name} is not set`, {
    at: "compute",
    hint: `Set ${name} where the control plane starts (\`scontrol token\` prints one), or \`with.token_file\`.`,
  });
}

async function tokenOfFile(path: string): Promise<string> {
  try {
    // `scontrol token` prints `SLURM_JWT=...`; its output may be the file as it is.
    return (await readFile(path, "utf8")).trim().replace(/^SLURM_JWT=/, "");
  } catch (cause) {
    throw new EspalierError("UNAUTHENTICATED", `The Slurm token can not be read from ${path}: ${String(cause)}`, {
      cause,
      at: "compute",
      hint: "`scontrol token > <file>`, readable by the control plane.",
    });
  }
}
