import { type ErrorCode, EspalierError } from "./errors.ts";

/** One thing that is wrong with what a user wrote. Checks collect all of them, so that one look mends everything. */
export interface Fault {
  code: ErrorCode;
  /** Name of the check that found it. */
  check: string;
  message: string;
  /** JSON pointer into the checked document. */
  pointer: string;
  hint?: string;
  /** `pipelines/train.yaml:14:9`, once a source map has been asked. */
  at?: string;
}

/** JSON pointer (RFC 6901) of a path. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((segment) => `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

export function pointerPath(pointer: string): string[] {
  if (pointer === "") return [];
  return pointer
    .slice(1)
    .split("/")
    .map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** All faults as one error, with the place of the first; every one is in `details.faults`, where the CLI reads them. */
export function faultsError(faults: readonly Fault[], what: string): EspalierError {
  const [first] = faults;
  if (first === undefined) return new EspalierError("INTERNAL", `${what} has no faults`);
  const place = (fault: Fault): string =>
    fault.at ?? (fault.pointer === "" ? what : pointerPath(fault.pointer).join("."));
  const only = faults.length === 1;
  return new EspalierError(codeOf(faults, first.code), only ? first.message : `${what} has ${faults.length} faults`, {
    at: place(first),
    ...(only && first.hint !== undefined ? { hint: first.hint } : {}),
    details: { faults },
  });
}

/** The code that all share; of different ones the one that says that the document as a whole is not right. */
function codeOf(faults: readonly Fault[], first: ErrorCode): ErrorCode {
  if (faults.every((fault) => fault.code === first)) return first;
  return faults.find((fault) => fault.code === "INVALID_PIPELINE" || fault.code === "INVALID_CONFIG")?.code ?? first;
}
