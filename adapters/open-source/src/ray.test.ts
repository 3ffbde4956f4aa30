import { EspalierError } from "@espalier/core";
import { expect, test } from "vitest";
import { createBatches } from "./ray-batches.ts";
import { endOfLog, readDriverLog } from "./ray-driver-log.ts";
import { checkRayVersion, fromRayAnswer } from "./ray-errors.ts";
import { taskResources } from "./ray-resources.ts";

test("items that come together are submitted together, the next while they are under way", async () => {
  const groups: number[][] = [];
  const batches = createBatches<number>(async (items) => {
    groups.push([...items]);
    return items.map((item) => `job of ${item}`);
  });
  const first = [1, 2, 3].map((item) => batches.add(item));
  expect(await Promise.all(first)).toEqual(["job of 1", "job of 2", "job of 3"]);
  expect(await batches.add(4)).toBe("job of 4");
  expect(groups).toEqual([[1, 2, 3], [4]]);
});

test("a submission that fails fails for its own items alone", async () => {
  let calls = 0;
  const batches = createBatches<number>(async (items) => {
    calls += 1;
    if (calls === 1) throw new Error("no");
    return items.map(() => "job");
  });
  await expect(batches.add(1)).rejects.toThrow("no");
  expect(await batches.add(2)).toBe("job");
});

test("of a group that is too much its halves are submitted, and only what can not be taken alone fails", async () => {
  const groups: number[][] = [];
  const batches = createBatches<number>(async (items) => {
    groups.push([...items]);
    if (items.length > 2) throw new EspalierError("TOO_LARGE", "413");
    if (items.includes(3)) throw new EspalierError("INVALID_INPUT", "not this one");
    return items.map((item) => `job of ${item}`);
  });
  const told = await Promise.allSettled([1, 2, 3, 4, 5].map((item) => batches.add(item)));
  expect(told.map((one) => (one.status === "fulfilled" ? one.value : (one.reason as Error).message))).toEqual([
    "job of 1",
    "job of 2",
    "not this one",
    "job of 4",
    "job of 5",
  ]);
  expect(groups).toEqual([[1, 2, 3, 4, 5], [1, 2, 3], [1, 2], [3], [4, 5]]);
  const refused = createBatches<number>(async () => {
    groups.push([]);
    throw new EspalierError("UNAUTHENTICATED", "no token");
  });
  const before = groups.length;
  const all = await Promise.allSettled([1, 2, 3, 4].map((item) => refused.add(item)));
  expect(all.every(({ status }) => status === "rejected")).toBe(true);
  expect(groups).toHaveLength(before + 1);
});

test("of a driver's log the last line of an attempt holds; other lines, and one that is being written, are passed over", () => {
  const text = [
    "2026-11-26 16:13:14 INFO worker.py:1691 -- Using address 127.0.0.2:45019",
    '{"espalier": "taken", "attempt": "a"}',
    '{"espalier": "waiting", "attempt": "a", "reason": "no node of the cluster has CPU 64"}',
    '{"espalier": "ended", "attempt": "a", "exit_code": 3, "cancelled": false, "words": ""}',
    '{"espalier": "taken", "attempt": "b"}',
    '{"espalier": "someday", "attempt": "b"}',
    '{"espalier": "ended", "attempt": "b", "exit_',
  ].join("\n");
  const told = readDriverLog(text);
  expect(told.get("a")).toMatchObject({ espalier: "ended", exit_code: 3 });
  expect(told.get("b")).toEqual({ espalier: "taken", attempt: "b" });
  expect(endOfLog(text)).toBe("2026-11-26 16:13:14 INFO worker.py:1691 -- Using address 127.0.0.2:45019");
});

test.each([
  [401, "Unauthorized: Missing authentication token", "UNAUTHENTICATED", "Missing authentication token"],
  [403, "Forbidden: Invalid authentication token", "PERMISSION_DENIED", "Invalid authentication token"],
  [
    500,
    "Traceback (most recent call last):\n  File x\nValueError: Job with submission_id a already exists.\n",
    "CONFLICT",
    "ValueError: Job with submission_id a already exists.",
  ],
  [500, "Traceback (most recent call last):\n  File x\nRuntimeError: gone\n", "UNAVAILABLE", "RuntimeError: gone"],
  [400, "bad request", "INVALID_INPUT", "bad request"],
  [503, "", "UNAVAILABLE", "HTTP 503"],
])("an answer %i keeps Ray's own words", (status, text, code, words) => {
  expect(fromRayAnswer(status, text, "submitting")).toMatchObject({ code, message: expect.stringContaining(words) });
});

test("a Jobs API of another version is refused", () => {
  expect(() => checkRayVersion({ version: "4", ray_version: "2.60.0" })).not.toThrow();
  expect(() => checkRayVersion({ version: "5", ray_version: "3.0.0" })).toThrow(/version 5 .*Ray 3\.0\.0/);
});

test("what a step asks for are options of a Ray task", () => {
  const label = "a/b#1";
  expect(taskResources({ label, resources: {} })).toEqual({ num_cpus: 1 });
  const gpu = { count: 2, type: "A100" };
  const resources = { cpu: 0.5, memoryBytes: 1024, gpu };
  expect(taskResources({ label, resources })).toEqual({
    num_cpus: 0.5,
    memory: 1024,
    num_gpus: 2,
    accelerator_type: "A100",
  });
});
