import { spawn } from "node:child_process";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type ErrorCode,
  EspalierError,
  errorTable,
  type JsonObject,
  stepEventSchema,
  stepVariables,
} from "@espalier/core";
import { entryPoint } from "@espalier/host";

export interface BuiltinRun {
  builtin: string;
  /** Holds `inputs`; gets `outputs`, `checkpoint` and the events. */
  folder: string;
  with: JsonObject;
  params: JsonObject;
  threads?: number;
  /** Python programs of the models that need one, by input. */
  pythons?: Readonly<Record<string, string>>;
  onProgress(done: number, total: number): void;
}

const pollMilliseconds = 250;

/** Runs a built-in step on this machine by the step contract, in a process of its own. Its error is thrown as it told it. */
export async function runBuiltinStep(run: BuiltinRun): Promise<void> {
  const events = join(run.folder, "events.jsonl");
  await writeFile(events, "");
  const child = spawn(process.execPath, [entryPoint("builtin-step"), run.builtin], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      [stepVariables.inputs]: join(run.folder, "inputs"),
      [stepVariables.outputs]: join(run.folder, "outputs"),
      [stepVariables.checkpoint]: join(run.folder, "checkpoint"),
      [stepVariables.events]: events,
      [stepVariables.with]: JSON.stringify(run.with),
      [stepVariables.params]: JSON.stringify(run.params),
      ...(run.pythons === undefined ? {} : { [stepVariables.modelPythons]: JSON.stringify(run.pythons) }),
      ...(run.threads === undefined ? {} : { OMP_NUM_THREADS: String(run.threads) }),
    },
  });
  let told = "";
  child.stderr.on("data", (chunk: Buffer) => {
    told = `${told}${chunk}`.slice(-20_000);
  });
  let stopped: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    stopped = signal;
    child.kill("SIGTERM");
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const progress = followProgress(events, run.onProgress);
  try {
    const ended = await new Promise<Ended>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    if (ended.code === 0) return;
    if (stopped !== undefined) {
      throw new EspalierError("CANCELLED", "Stopped before all rows were predicted", {
        hint: "The same command goes on where this one was.",
      });
    }
    throw toldError(told, ended);
  } finally {
    await progress.stop();
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

function followProgress(path: string, onProgress: BuiltinRun["onProgress"]): { stop(): Promise<void> } {
  let offset = 0;
  let reading = Promise.resolve();
  const read = async (): Promise<void> => {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const { buffer } = await file.read(Buffer.alloc(size - offset), 0, size - offset, offset);
      const whole = buffer.subarray(0, buffer.lastIndexOf("\n") + 1);
      offset += whole.length;
      for (const line of whole.toString().split("\n")) {
        if (line === "") continue;
        const event = stepEventSchema.parse(JSON.parse(line));
        if (event.type === "progress") onProgress(event.done, event.total ?? 0);
      }
    } finally {
      await file.close();
    }
  };
  const again = (): void => {
    reading = reading.then(read);
  };
  const timer = setInterval(again, pollMilliseconds);
  return {
    stop: async () => {
      clearInterval(timer);
      again();
      await reading;
    },
  };
}

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The step's own words: `error: CODE message`, `at:`, `hint:`. */
function toldError(text: string, { code, signal }: Ended): EspalierError {
  const [, name, message] = /^error: ([A-Z_]+) (.*)$/m.exec(text) ?? [];
  if (name === undefined || message === undefined || !(name in errorTable)) {
    const how = signal === null ? `with exit code ${code}` : `by the signal ${signal}`;
    return new EspalierError("STEP_FAILED", `The prediction's process was ended ${how}, and did not say why`, {
      details: { logTail: text },
      hint: "Can the data be read (a file that is damaged, or nested too deeply), and is there memory enough?",
    });
  }
  const at = /^ {3}at: (.*)$/m.exec(text)?.[1];
  const hint = /^ hint: (.*)$/m.exec(text)?.[1];
  return new EspalierError(name as ErrorCode, message, {
    ...(at === undefined ? {} : { at }),
    ...(hint === undefined ? {} : { hint }),
  });
}
