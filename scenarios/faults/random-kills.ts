import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ulid } from "@espalier/core";
import { examine } from "./examine.ts";
import { drive, stepProcesses } from "./kill.ts";
import { cutFlights, writeFaultProject } from "./pipeline.ts";

/**
 * `node scenarios/faults/random-kills.ts [kills] [seed]`: kill -9 at random moments of control plane or steps until so many kills have
 * hit; every run must end with the digests of an undisturbed one. A run whose step was killed may fail, and is then started anew.
 */
const wanted = Number(process.argv[2] ?? 200);
let seed = Number(process.argv[3] ?? 1);
const random = (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const rows = 30_000;
const root = mkdtempSync(join(tmpdir(), "espalier-random-"));
const kills = { plane: 0, step: 0 };
let runs = 0;
let failedRuns = 0;
try {
  const folder = join(root, "undisturbed");
  const flights = join(root, "flights.parquet");
  await cutFlights(flights, rows);
  writeFaultProject(folder, flights);
  const before = performance.now();
  const firstRun = ulid();
  await drive({ folder, runId: firstRun, rows });
  const duration = performance.now() - before;
  const undisturbed = await examine(folder, firstRun);
  while (kills.plane + kills.step < wanted) {
    const project = join(root, `project-${runs}`);
    writeFaultProject(project, flights);
    let runId = ulid();
    for (let rounds = 0; ; rounds += 1) {
      // After some rounds it is left alone, or it would never end.
      const disturb = rounds < 6;
      const meanwhile = async (pid: number): Promise<void> => {
        await delay(random() * duration * 1.2);
        const steps = stepProcesses(project);
        const victim = random() < 0.4 ? steps[Math.floor(random() * steps.length)] : pid;
        if (victim === undefined) return;
        try {
          process.kill(victim, "SIGKILL");
          kills[victim === pid ? "plane" : "step"] += 1;
        } catch {
          // It ended first.
        }
      };
      const how = await drive({ folder: project, runId, rows, ...(disturb ? { meanwhile } : {}) });
      if (how === "killed") continue;
      const found = await examine(project, runId);
      if (found.problems.length > 0) throw new Error(`${project}: ${found.problems.join("; ")}`);
      if (found.state === "succeeded") {
        for (const [name, digest] of Object.entries(undisturbed.outputs)) {
          if (found.outputs[name] !== digest)
            throw new Error(`${project}: ${name} is ${found.outputs[name]}, not ${digest}`);
        }
        break;
      }
      failedRuns += 1;
      runId = ulid();
    }
    if (stepProcesses(project).length > 0) throw new Error(`${project}: a step outlived its run`);
    rmSync(project, { recursive: true, force: true });
    runs += 1;
  }
  console.log(
    `${kills.plane} kills of the control plane, ${kills.step} of steps, over ${runs} projects; ${failedRuns} runs failed by a killed step and were run again; all results equal`,
  );
} finally {
  rmSync(root, { recursive: true, force: true });
}
