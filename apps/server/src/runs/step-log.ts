import { stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { LogChunk } from "@espalier/contract";
import {
  type ArtifactRef,
  type AttemptRow,
  EspalierError,
  type RunRow,
  terminalAttemptStates,
  terminalRunStates,
} from "@espalier/core";
import { attemptFolder, readMasked, readToken, secretBytes } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { ServerEvent } from "../http/handler.ts";

export interface LogPlace {
  runId: string;
  step: string;
  branch: number;
  /** Number of the attempt; left out means the newest. */
  attempt?: number | undefined;
}

const largestChunkBytes = 1024 * 1024;
/** A runner has no way to tell that a log grew. */
const growthPollMilliseconds = 250;

/** At most 1 MiB of the log from an offset on; a negative offset counts from the end of what there is. */
export async function readLog(plane: ControlPlane, place: LogPlace, offset: number): Promise<LogChunk> {
  const { run, attempt } = await findAttempt(plane, place);
  if (attempt === undefined) {
    throw new EspalierError("NOT_FOUND", `Step ${place.step} of run ${run.id} has no log: it did not run`, {
      hint: "A cached step's log is with the attempt it came from: `espalier why` names it.",
    });
  }
  return chunkOf(plane, attempt, offset, await secretsOf(plane, run, place.step));
}

/** The log of all attempts from now on, each as it grows, until the step's run is over. The event id is `<attempt number>:<offset>`. */
export async function* followLog(
  plane: ControlPlane,
  place: LogPlace,
  resume: string | number | undefined,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent<LogChunk>, void, void> {
  const { run } = await findAttempt(plane, place);
  const secrets = await secretsOf(plane, run, place.step);
  let [number, offset] = startOf(resume, place.attempt);
  while (!signal.aborted) {
    // Read before the attempts: when it says that all is over, no further attempt can follow those read after it.
    const state = await stepState(plane, run.id, place);
    const attempts = await attemptsOf(plane, run.id, place);
    const attempt = number === undefined ? attempts[0] : attempts.find((one) => one.number === number);
    if (attempt !== undefined) {
      const chunk = await chunkOf(plane, attempt, offset, secrets);
      number = attempt.number;
      offset = chunk.next;
      if (chunk.text !== "" || chunk.ended) yield { id: `${number}:${offset}`, data: chunk };
      if (chunk.ended) {
        const next = attempts.find((one) => one.number > attempt.number);
        if (place.attempt !== undefined || (next === undefined && state === "over")) return;
        if (next !== undefined) [number, offset] = [next.number, 0];
      } else if (chunk.text !== "") continue;
    } else if (state === "over") return;
    try {
      await delay(growthPollMilliseconds, undefined, { signal });
    } catch {
      return;
    }
  }
}

function startOf(resume: string | number | undefined, attempt: number | undefined): [number | undefined, number] {
  const [, number, offset] = /^(\d+):(\d+)$/.exec(String(resume ?? "")) ?? [];
  if (number !== undefined) return [Number(number), Number(offset)];
  return [attempt, typeof resume === "number" ? resume : 0];
}

async function stepState({ record }: ControlPlane, runId: string, place: LogPlace): Promise<"over" | "going on"> {
  const run = await record.runs.get(runId);
  const step = (await record.engine.steps(runId)).find((one) => one.step === place.step && one.branch === place.branch);
  const settled = step === undefined || !["pending", "waiting", "running"].includes(step.state);
  return settled || run === undefined || terminalRunStates.includes(run.state) ? "over" : "going on";
}

async function attemptsOf({ record }: ControlPlane, runId: string, place: LogPlace): Promise<AttemptRow[]> {
  return (await record.engine.attempts(runId))
    .filter((attempt) => attempt.step === place.step && attempt.branch === place.branch)
    .sort((a, b) => a.number - b.number);
}

async function findAttempt(
  plane: ControlPlane,
  place: LogPlace,
): Promise<{ run: RunRow; attempt: AttemptRow | undefined }> {
  const runId = await plane.record.runs.resolve(place.runId);
  const run = await plane.record.runs.get(runId);
  if (run?.pipeline.steps[place.step] === undefined) {
    throw new EspalierError("NOT_FOUND", `Run ${runId} has no step ${place.step}`, {
      hint: `Its steps: ${Object.keys(run?.pipeline.steps ?? {}).join(", ")}.`,
    });
  }
  const attempts = await attemptsOf(plane, runId, place);
  const attempt = place.attempt === undefined ? attempts.at(-1) : attempts.find((one) => one.number === place.attempt);
  return { run, attempt };
}

async function secretsOf({ stack }: ControlPlane, run: RunRow, step: string): Promise<string[]> {
  const values: string[] = [];
  for (const name of run.pipeline.steps[step]?.secrets ?? []) {
    const value = await stack.secrets.get(name);
    if (value !== undefined) values.push(value.reveal());
  }
  return values;
}

interface LogBytes {
  bytes: Uint8Array;
  next: number;
  ended: boolean;
}

async function chunkOf(
  plane: ControlPlane,
  attempt: AttemptRow,
  offset: number,
  secrets: readonly string[],
): Promise<LogChunk> {
  const isOver = terminalAttemptStates.includes(attempt.state);
  const read =
    isOver && attempt.log !== undefined
      ? await readEnded(plane, attempt.log, offset)
      : await readFolder(plane, attempt, offset, secrets, isOver);
  const bytes = read.ended ? read.bytes : wholeCharacters(read.bytes);
  const next = read.next - (read.bytes.length - bytes.length);
  return { attemptId: attempt.id, text: Buffer.from(bytes).toString("utf8"), next, ended: read.ended };
}

/**
 * A growing log, or that of an attempt whose end kept none (cancelled, lost): what its folder holds.
 * Masking keeps the length, so that an offset means the same in the growing log and in the one that is kept.
 */
async function readFolder(
  { project }: ControlPlane,
  attempt: AttemptRow,
  offset: number,
  secrets: readonly string[],
  isOver: boolean,
): Promise<LogBytes> {
  const folder = attemptFolder(project.stateDirectory, attempt.id);
  const path = folder.log;
  const token = await readToken(folder);
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  const start = offset < 0 ? Math.max(0, size + offset) : offset;
  const hidden = secretBytes(token === undefined ? secrets : [...secrets, token]);
  const read = await readMasked(path, start, largestChunkBytes, hidden, isOver);
  return { ...read, ended: isOver && read.next >= size };
}

async function readEnded({ artifacts }: ControlPlane, log: ArtifactRef, offset: number): Promise<LogBytes> {
  const start = offset < 0 ? Math.max(0, log.size + offset) : offset;
  const chunks: Uint8Array[] = [];
  let position = 0;
  let kept = 0;
  for await (const chunk of (await artifacts.open(log)).body) {
    const from = Math.max(0, start - position);
    const part = chunk.subarray(from, from + largestChunkBytes - kept);
    if (from < chunk.length && part.length > 0) {
      chunks.push(part);
      kept += part.length;
    }
    position += chunk.length;
    if (kept >= largestChunkBytes) break;
  }
  const next = start + kept;
  return { bytes: Buffer.concat(chunks), next, ended: next >= log.size };
}

/** A character that is cut in two waits for its second half. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}
