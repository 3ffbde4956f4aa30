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

/** All faults as one error: the first one's code, place and hint, every one in the message and in `details.faults`. */
export function faultsError(faults: readonly Fault[], what: string): EspalierError {
  const [first] = faults;
  if (first === undefined) return new EspalierError("INTERNAL", `${what} has no faults`);
  const place = (fault: Fault): string =>
    fault.at ?? (fault.pointer === "" ? what : pointerPath(fault.pointer).join("."));
  const [only] = faults.length === 1 ? faults : [];
  const message =
    only === undefined
      ? `${what} has ${faults.length} faults:\n${faults
          .map((fault) => `  ${place(fault)}: ${fault.message}${fault.hint === undefined ? "" : ` ${fault.hint}`}`)
          .join("\n")}`
      : only.message;
  return new EspalierError(first.code, message, {
    at: place(first),
    ...(only?.hint === undefined ? {} : { hint: only.hint }),
    details: { faults },
  });
}
