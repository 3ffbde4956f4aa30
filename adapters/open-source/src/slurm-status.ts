import type { StepStatus } from "@espalier/core";
import type { SlurmJob } from "./slurm-client.ts";

const waiting = new Set(["PENDING", "CONFIGURING", "POWER_UP_NODE", "RESV_DEL_HOLD"]);
/** COMPLETING is the end of a job whose processes may still run: an attempt is over only once they are gone. */
const running = new Set(["RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"]);

/** "0:53": the node could not open the job's standard output as the job's user. */
const outputRefused = 53;

/** A job as the port tells it. */
export function statusOfJob(job: SlurmJob): StepStatus {
  const state = job.job_state;
  // An attempt runs once: what Slurm starts anew on another node is not it (its script then ends at once).
  if ((job.restart_cnt ?? 0) > 0 || state.startsWith("REQUEUE")) {
    return { state: "lost", message: `Slurm put job ${job.job_id} back into the queue` };
  }
  if (waiting.has(state)) {
    const reason = job.state_reason ?? "None";
    return { state: "pending", ...(reason === "None" ? {} : { reason: `Slurm: ${reason}` }) };
  }
  if (running.has(state)) return { state: "running" };
  switch (state) {
    case "COMPLETED":
      return { state: "exited", exitCode: 0 };
    case "FAILED":
      if (!job.nodes) return { state: "lost", message: `Slurm never started job ${job.job_id}: ${job.state_reason}` };
      if (((job.exit_code ?? 0) & 0x7f) === outputRefused) {
        return { state: "lost", message: `Slurm could not open the log file of job ${job.job_id} on ${job.nodes}` };
      }
      return { state: "exited", exitCode: exitCodeOf(job.exit_code ?? 0) || 1 };
    case "OUT_OF_MEMORY":
      // As on a machine whose kernel ran out of memory: the step was ended by SIGKILL.
      return { state: "exited", exitCode: 137 };
    case "CANCELLED":
      return { state: "cancelled" };
    case "TIMEOUT":
    case "DEADLINE": {
      const limit = job.time_limit ? ` of ${job.time_limit} min` : "";
      return { state: "lost", cause: "timeout", message: `Slurm ended job ${job.job_id} at its time limit${limit}` };
    }
    default:
      return {
        state: "lost",
        message: `Slurm ended job ${job.job_id} as ${state}: ${job.state_reason ?? "no reason"}`,
      };
  }
}

/** From wait(2)'s coding (exit code 3 is 768) to the shell's (a signal n is 128 + n). */
export function exitCodeOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}
