import { expect, it } from "vitest";
import { proveNoLoss } from "./prove-no-loss.ts";

it("no request is lost across changes of version, a canary, a rollback, signals and a disk that stalls", async () => {
  const lines: string[] = [];
  const proof = await proveNoLoss({
    requests: 20_000,
    callers: 8,
    versionChanges: 4,
    routers: 1,
    workers: 2,
    log: (line) => lines.push(line),
  });
  for (const reason of proof.skipped) console.warn(`skipped: ${reason}`);
  expect(proof.examples, lines.join("\n")).toEqual([]);
  expect(proof.failures).toBe(0);
  expect(proof.requests).toBeGreaterThanOrEqual(20_000);
  for (const version of ["1", "2", "3"]) expect(proof.versions[version]).toBeGreaterThan(0);
  // Killed servers took what they had captured and not yet written with them; everything else is there.
  expect(proof.capturedRows).toBeGreaterThan(proof.requests * 0.9);
}, 600_000);
