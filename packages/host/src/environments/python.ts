import { EspalierError } from "@espalier/core";
import { runProgram } from "./run-program.ts";

export interface Python {
  program: string;
  /** `3.11.7` */
  version: string;
}

/** The Python that environments are made with; `wanted` is a version such as `3.11`. NOT_INSTALLED. */
export async function findPython(wanted: string | undefined): Promise<Python> {
  const programs = wanted === undefined ? ["python3", "python"] : [`python${wanted}`, "python3", "python"];
  const seen: string[] = [];
  for (const program of programs) {
    const answer = await runProgram(program, ["-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))"]);
    const version = answer?.stdout.trim();
    if (answer?.exitCode !== 0 || version === undefined) continue;
    if (wanted === undefined ? version.startsWith("3.") : version === wanted || version.startsWith(`${wanted}.`)) {
      return { program, version };
    }
    seen.push(`${program} is ${version}`);
  }
  const asked = wanted === undefined ? "Python 3" : `Python ${wanted}`;
  throw new EspalierError("NOT_INSTALLED", `${asked} was not found${seen.length > 0 ? ` (${seen.join(", ")})` : ""}`, {
    hint: `Install ${asked} (on Debian and Ubuntu: \`apt-get install python3 python3-venv\`), or change \`environment.pythonVersion\`.`,
  });
}
