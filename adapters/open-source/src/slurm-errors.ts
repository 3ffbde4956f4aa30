import { type ErrorCode, EspalierError } from "@espalier/core";

/** One entry of `errors` in an answer of slurmrestd; which number field is filled depends on the route. */
export interface SlurmFault {
  error?: string | null | undefined;
  error_number?: number | null | undefined;
  error_code?: number | null | undefined;
  description?: string | null | undefined;
}

export const invalidJobId = 2017;

interface Meaning {
  code: ErrorCode;
  at?: string;
  hint?: string;
}

const byNumber: Readonly<Record<number, Meaning>> = {
  1007: { code: "UNAUTHENTICATED", hint: "Renew the token (`scontrol token`)." },
  2000: { code: "INVALID_INPUT", at: "with.partition", hint: "`sinfo` lists the partitions." },
  2002: { code: "PERMISSION_DENIED", hint: "The token's user may not do this." },
  2010: { code: "PERMISSION_DENIED", hint: "The user is not known on the cluster." },
  2012: { code: "INVALID_INPUT", hint: "Ask for fewer CPUs." },
  2014: {
    code: "INVALID_INPUT",
    hint: "No node has these resources: lower `resources:`, or choose another partition.",
  },
  2015: { code: "INVALID_INPUT", hint: "The partition can not give these resources: lower `resources:`." },
  2017: { code: "NOT_FOUND" },
  2045: { code: "PERMISSION_DENIED", at: "with.account", hint: "`sacctmgr show associations` lists what is allowed." },
  2050: { code: "INVALID_INPUT", hint: "The partition's limits are below what the step asks for." },
  2051: { code: "RATE_LIMITED", hint: "A limit of the association is reached; the job is accepted once others ended." },
  2065: { code: "INVALID_INPUT", at: "with.qos" },
  2066: { code: "INVALID_INPUT", at: "with.qos" },
  2072: { code: "INVALID_INPUT", hint: "The cluster has no such generic resource (GPU)." },
  9001: { code: "INVALID_INPUT", hint: "The cluster does not know what the job asks for; for GPUs see its GresTypes." },
};

export const numberOf = (fault: SlurmFault): number => fault.error_number ?? fault.error_code ?? 0;

/**
 * One pure function for everything slurmrestd may answer. Numbers decide, never texts nor the HTTP status: with a refused token, or with the
 * controller away, "Unable to find JobId" is said of a job that is running (number -1, status 500).
 */
export function fromSlurmAnswer(status: number, faults: readonly SlurmFault[], what: string): EspalierError {
  const known = faults.find((fault) => byNumber[numberOf(fault)] !== undefined);
  const fault = known ?? faults.at(-1);
  const meaning = (known && byNumber[numberOf(known)]) ?? byStatus(status);
  const said = faults.flatMap(({ error, description }) => [description, error].filter((text) => text)).join(": ");
  return new EspalierError(meaning.code, `Slurm, ${what}: ${said === "" ? `HTTP ${status}` : said}`, {
    at: meaning.at ?? "compute",
    details: { httpStatus: status, ...(fault === undefined ? {} : { slurmError: numberOf(fault) }) },
    ...(meaning.hint === undefined ? {} : { hint: meaning.hint }),
  });
}

function byStatus(status: number): Meaning {
  if (status === 401) return { code: "UNAUTHENTICATED", hint: "Check `with.user` and its token (`scontrol token`)." };
  if (status === 403) return { code: "PERMISSION_DENIED" };
  if (status === 404)
    return { code: "UNSUPPORTED", hint: "slurmrestd must offer `openapi/v0.0.38` (`slurmrestd -s`)." };
  if (status === 429) return { code: "RATE_LIMITED" };
  if (status >= 500) {
    // slurmrestd says the same for a controller that is away and for a token that the controller refuses.
    return {
      code: "UNAVAILABLE",
      hint: "Is slurmctld up (`scontrol ping`), and the token still valid (`scontrol token`)?",
    };
  }
  return { code: "INVALID_INPUT" };
}

/** What fetch itself throws. */
export function fromFetchError(error: unknown, endpoint: string, what: string): EspalierError {
  const name = error instanceof Error ? error.name : "";
  if (name === "AbortError") return new EspalierError("CANCELLED", `Slurm, ${what}: cancelled`, { cause: error });
  if (name === "TimeoutError") {
    return new EspalierError("TIMEOUT", `Slurm, ${what}: no answer in time`, { cause: error, at: "compute" });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  return new EspalierError("UNREACHABLE", `Slurm, ${what}: ${endpoint} does not answer: ${cause}`, {
    cause: error,
    at: "compute",
    hint: "Is slurmrestd up, and `with.endpoint` right?",
  });
}

/** A token that is over is refused without a reason, so its date is read here. Undefined: nothing is known against it. */
export function tokenFault(token: string, nowSeconds: number): EspalierError | undefined {
  const hint = "Renew it: `scontrol token lifespan=<seconds>`; `with.token_file` is read anew for every request.";
  const [, payload] = token.split(".");
  let expires: unknown;
  try {
    expires = (JSON.parse(Buffer.from(payload ?? "", "base64url").toString()) as { exp?: unknown }).exp;
  } catch {
    return new EspalierError("UNAUTHENTICATED", "The Slurm token is not a JSON Web Token", { at: "compute", hint });
  }
  if (typeof expires !== "number" || expires > nowSeconds) return undefined;
  const since = new Date(expires * 1_000).toISOString();
  return new EspalierError("UNAUTHENTICATED", `The Slurm token is over since ${since}`, { at: "compute", hint });
}
