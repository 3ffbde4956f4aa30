export interface SlurmScript {
  /** Shell lines of the cluster's user, run first. */
  setup?: string;
  /** A shell command line, put into the background by an `&` at the end of its first line. */
  main: string;
  /** Where the exit code is left, if anywhere. */
  exitFile?: string;
}

/**
 * The batch script of one attempt. It runs once: Slurm may start a job anew after a node failed, but the engine then makes another attempt.
 * On cancellation Slurm signals every process of the job at once, so the shell traps SIGTERM to outlive the step and tell its exit code;
 * the trap has a body, since an ignored signal would stay ignored in the step.
 */
export function batchScript({ setup, main, exitFile }: SlurmScript): string {
  const leave =
    exitFile === undefined
      ? ""
      : `
exit_file=${shellQuoted(exitFile)}
printf '{"exitCode":%d,"job":%d}\\n' "$exit_code" "$SLURM_JOB_ID" >"$exit_file.new" && mv "$exit_file.new" "$exit_file"`;
  return `#!/bin/sh
if [ "\${SLURM_RESTART_COUNT:-0}" != 0 ]; then
  echo "espalier: an attempt is not started a second time" >&2
  exit 75
fi
${setup ?? ""}
trap ':' TERM INT HUP
${main}
child=$!
while :; do
  wait "$child"
  exit_code=$?
  kill -0 "$child" 2>/dev/null || break
done${leave}
exit "$exit_code"
`;
}

/** The launcher travels inside the script, so the node needs nothing but Python. */
export function launcherMain(python: string, manifestUrl: string, launcher: string): string {
  const end = "ESPALIER_LAUNCHER_ENDS";
  if (launcher.split("\n").includes(end)) throw new RangeError(`the launcher has a line ${end}`);
  return `${shellQuoted(python)} - ${shellQuoted(manifestUrl)} <<'${end}' &\n${launcher.trimEnd()}\n${end}`;
}

export function commandMain(workingDirectory: string, command: string): string {
  return `( cd ${shellQuoted(workingDirectory)} && exec /bin/sh -c ${shellQuoted(command)} ) </dev/null &`;
}

const shellQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
