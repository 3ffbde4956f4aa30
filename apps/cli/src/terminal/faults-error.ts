import { type ErrorCode, EspalierError } from "@espalier/core";

interface Problem {
  code: string;
  message: string;
  at?: string | undefined;
  hint?: string | undefined;
}

/** One fault is the error itself; several are listed below one, whose message is `whole`. */
function problemsError(problems: readonly Problem[], whole: string): EspalierError {
  const [first] = problems;
  const code = (first?.code ?? "INVALID_PIPELINE") as ErrorCode;
  const details = { faults: problems };
  if (first === undefined || problems.length > 1) return new EspalierError(code, whole, { details });
  return new EspalierError(code, first.message, {
    details,
    ...(first.at === undefined ? {} : { at: first.at }),
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}

/** The document of `--json` says it all: only the exit code is missing. Otherwise the error is thrown. */
export function tellProblems(problems: readonly Problem[], whole: string, asJson: boolean | undefined): void {
  if (problems.length === 0) return;
  const error = problemsError(problems, whole);
  if (asJson !== true) throw error;
  process.exitCode = error.exitCode;
}
