import { type ErrorCode, EspalierError } from "@espalier/core";

/** Of an answer that is a Python traceback, the line that says what happened. */
function lastWords(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const said = text.includes("Traceback (most recent call last)") ? lines.at(-1) : lines[0];
  return (said ?? "").trim().slice(0, 500);
}

interface Meaning {
  code: ErrorCode;
  hint?: string;
}

/** One pure function for everything the job server may answer. Its errors are plain text, mostly tracebacks, with 400, 404 or 500. */
export function fromRayAnswer(status: number, text: string, what: string): EspalierError {
  const { code, hint } = meaningOf(status, text);
  const said = lastWords(text);
  return new EspalierError(code, `Ray, ${what}: ${said === "" ? `HTTP ${status}` : said}`, {
    at: "compute",
    details: { httpStatus: status, ...(text === said ? {} : { answer: text.slice(0, 4_000) }) },
    ...(hint === undefined ? {} : { hint }),
  });
}

function meaningOf(status: number, text: string): Meaning {
  if (status === 401) {
    return {
      code: "UNAUTHENTICATED",
      hint: "Set the cluster's token in RAY_AUTH_TOKEN where the control plane starts, or name its file: `with.token_file`.",
    };
  }
  if (status === 403) {
    return { code: "PERMISSION_DENIED", hint: "Is it the token of this cluster (`ray get-auth-token` on its head)?" };
  }
  // A submission id that is taken is a 500 with a traceback.
  if (/Job with submission_id .* already exists/.test(text)) return { code: "CONFLICT" };
  if (status === 404) {
    // Ray itself says what does not exist. Anything else is a proxy that does not find the head just now.
    return /^(?:Job|Package) \S+ does not exist/.test(text)
      ? { code: "NOT_FOUND" }
      : { code: "UNAVAILABLE", hint: "Something before Ray's job server answers 404: does the head run?" };
  }
  if (status === 413)
    return { code: "TOO_LARGE", hint: "The head takes smaller requests: lower the compute's `limit`." };
  if (status === 429) return { code: "RATE_LIMITED" };
  if (status >= 500) return { code: "UNAVAILABLE", hint: "`ray status` on the head tells how the cluster is." };
  return { code: "INVALID_INPUT" };
}

/** What the request itself fails with. */
export function fromRayRequestError(error: unknown, address: string, what: string): EspalierError {
  const name = error instanceof Error ? error.name : "";
  if (name === "AbortError") return new EspalierError("CANCELLED", `Ray, ${what}: cancelled`, { cause: error });
  if (name === "TimeoutError") {
    return new EspalierError("TIMEOUT", `Ray, ${what}: no answer in time`, { cause: error, at: "compute" });
  }
  const cause = error instanceof Error ? error.message : String(error);
  return new EspalierError("UNREACHABLE", `Ray, ${what}: ${address} does not answer: ${cause}`, {
    cause: error,
    at: "compute",
    hint: "Does the head node run, with its dashboard (`pip install 'ray[default]'`), and is `with.address` right?",
  });
}

/** The answer of `GET /api/version` that this adapter was written for. */
const knownApiVersion = "4";

export function checkRayVersion({ version, ray_version }: { version?: unknown; ray_version?: unknown }): void {
  if (version === knownApiVersion) return;
  throw new EspalierError(
    "UNSUPPORTED",
    `The Ray cluster speaks version ${String(version)} of the Jobs API (Ray ${String(ray_version)}), and Espalier version ${knownApiVersion}`,
    { at: "compute", hint: "Run a Ray release with that version (2.x), or a newer Espalier." },
  );
}
