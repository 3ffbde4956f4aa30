import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { EspalierError, type StepSpec } from "@espalier/core";
import { expect, test } from "vitest";
import { connectRay, type RayApi, type RayJob, type RayJobRequest } from "./ray-client.ts";
import { createJobViews } from "./ray-jobs.ts";
import { createRayStepRunner } from "./ray-step-runner.ts";
import { createFinder, feedName } from "./ray-submitted.ts";
import { createJobsToTell } from "./ray-tidy.ts";

const file = (name: string): string => fileURLToPath(new URL(`../../../python/${name}`, import.meta.url));
const host = { launcher: file("launcher.py"), driver: file("ray_driver.py") };
const config = { address: "http://127.0.0.1:9" };
const away = (): EspalierError => new EspalierError("UNAVAILABLE", "the head is away");
const taken = (attempt: string, feed?: number): string => `${JSON.stringify({ espalier: "taken", attempt, feed })}\n`;

/** Ray's answers, in memory: what a real cluster does is tested against one, but it does not fail at the moment that a test needs. */
function startRayOf() {
  const jobs = new Map<string, RayJob>();
  const logs = new Map<string, string>();
  const packages = new Map<string, string>();
  const api: RayApi = {
    async submit({ submission_id, metadata }: RayJobRequest) {
      if (jobs.has(submission_id)) throw new EspalierError("CONFLICT", "already exists");
      jobs.set(submission_id, { submission_id, status: "RUNNING", metadata: { ...metadata } });
      const attempts = metadata["espalier.attempts"]?.split(",") ?? [];
      logs.set(submission_id, attempts.map((attempt) => taken(attempt)).join(""));
    },
    job: async (id) => jobs.get(id),
    jobs: async () => [...jobs.values()],
    logs: async (id) => logs.get(id) ?? "",
    stop: async () => undefined,
    forget: async (id) => void jobs.delete(id),
    putPackage: async (name, bytes) => void packages.set(name, Buffer.from(bytes).toString()),
    hasPackage: async (name) => packages.has(name),
  };
  return { jobs, logs, packages, api };
}

const specOf = (attemptId: string, fresh = true): StepSpec => ({
  attemptId,
  fresh,
  label: attemptId,
  work: { kind: "remote", manifestUrl: `http://127.0.0.1:9/${attemptId}/manifest`, token: "t" },
  resources: {},
  graceSeconds: 1,
});
const jobOf = (handle: string): string => (JSON.parse(handle) as [string, string])[0];

test("a caller that lets go leaves the answer to the others that wait for it", async () => {
  const { api, jobs } = startRayOf();
  jobs.set("j", { submission_id: "j", status: "RUNNING" });
  const answered = Promise.withResolvers<RayJob | undefined>();
  const viewOf = createJobViews({
    ...api,
    job: (_id, context) => {
      context?.signal?.addEventListener("abort", () => answered.reject(context.signal?.reason));
      return answered.promise;
    },
  });
  const leaves = new AbortController();
  const first = viewOf("j", { signal: leaves.signal });
  const second = viewOf("j");
  leaves.abort(new Error("let go"));
  await expect(first).rejects.toThrow("let go");
  answered.resolve(jobs.get("j"));
  expect((await second).state).toBe("running");
});

test("the check of Ray's version outlives the caller that asked first; a 404 that is not Ray's own is no lost job", async () => {
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let missing = "404 page not found";
  const server = createServer(async (request, response) => {
    if (request.url === "/api/version") {
      asked.resolve();
      await goOn.promise;
      response.end('{"version": "4", "ray_version": "2.60.0"}');
    } else response.writeHead(404).end(missing);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    const api = connectRay({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    const leaves = new AbortController();
    const first = api.job("j", { signal: leaves.signal });
    const second = api.job("j");
    await asked.promise;
    leaves.abort(new Error("let go"));
    await expect(first).rejects.toThrow("let go");
    goOn.resolve();
    await expect(second).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(api.hasPackage("p.zip")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    missing = "Job j does not exist";
    expect(await api.job("j")).toBeUndefined();
    missing = "Package gcs://p.zip does not exist";
    expect(await api.hasPackage("p.zip")).toBe(false);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test("errors that pass do not fail the attempts that are submitted together", async () => {
  const { api, jobs } = startRayOf();
  let faults = 0;
  const once = async <T>(answer: () => Promise<T>): Promise<T> => {
    faults += 1;
    if (faults % 2 === 1) throw away();
    return answer();
  };
  const runner = createRayStepRunner(config, host, {
    ...api,
    putPackage: (name, bytes) => once(() => api.putPackage(name, bytes)),
    job: (id) => once(() => api.job(id)),
    // The answer is lost; the job is there.
    async submit(job) {
      await api.submit(job);
      throw away();
    },
  });
  const handles = await Promise.all([runner.submit(specOf("a")), runner.submit(specOf("b"))]);
  expect(handles.map(jobOf)).toEqual(["espalier-a", "espalier-a"]);
  expect(jobs.size).toBe(1);
});

test("a running job is given more under a number of its own, and errors meanwhile are waited out", async () => {
  const { api, logs, packages } = startRayOf();
  let faults = 0;
  const runner = createRayStepRunner(config, host, {
    ...api,
    async putPackage(name, bytes) {
      await api.putPackage(name, bytes);
      if (name === feedName("espalier-a", 1)) logs.set("espalier-a", `${logs.get("espalier-a")}${taken("b", 1)}`);
      if (name === feedName("espalier-a", 2)) logs.set("espalier-a", `${logs.get("espalier-a")}${taken("c", 2)}`);
    },
    async logs(id) {
      faults += 1;
      if (faults === 2) throw away();
      return api.logs(id);
    },
  });
  for (const attemptId of ["a", "b", "c"]) {
    expect(jobOf(await runner.submit(specOf(attemptId)))).toBe("espalier-a");
  }
  expect([...packages.keys()].filter((name) => name.includes(".more."))).toEqual([
    "espalier-a.more.1.zip",
    "espalier-a.more.2.zip",
  ]);
});

test("of two control planes that submit one attempt, the second finds it and puts only the rest elsewhere", async () => {
  const { api, jobs, packages } = startRayOf();
  const first = createRayStepRunner(config, host, api);
  await Promise.all([first.submit(specOf("a")), first.submit(specOf("b"))]);
  const batches = [...packages].filter(([name]) => name.startsWith("espalier-a-"));
  // Its look came before the other's submission.
  const second = createRayStepRunner(config, host, api);
  const handles = await Promise.all(["a", "c"].map((attemptId) => second.submit(specOf(attemptId))));
  expect(jobOf(handles[0] ?? "")).toBe("espalier-a");
  expect(jobOf(handles[1] ?? "")).toMatch(/^espalier-c-/);
  expect(jobs.size).toBe(2);
  expect([...packages]).toEqual(expect.arrayContaining(batches));
});

test("the log of an ended job that can not be read is asked for again, and never means that nothing was taken", async () => {
  const { api, jobs } = startRayOf();
  jobs.set("j", { submission_id: "j", status: "FAILED", metadata: { "espalier.attempts": "a" } });
  let isAway = true;
  const flaky: RayApi = { ...api, logs: async () => (isAway ? Promise.reject(away()) : taken("fed", 1)) };
  await expect(createJobViews(flaky)("j")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  const impatient = createJobViews(flaky, 0);
  expect((await impatient("j")).statusOf("a")).toMatchObject({ state: "lost" });
  await expect(createFinder(flaky, impatient)()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  isAway = false;
  expect((await createFinder(flaky, createJobViews(flaky))()).get("fed")).toBe("j");
});

test("what a job is about to take is waited for, until the job ends or for a while", async () => {
  const { api, jobs, logs, packages } = startRayOf();
  jobs.set("j", { submission_id: "j", status: "RUNNING", metadata: { "espalier.attempts": "a" } });
  packages.set(feedName("j", 1), "{}");
  await expect(createFinder(api, createJobViews(api), 0)()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  const takes = createFinder(
    {
      ...api,
      async hasPackage(name) {
        if (logs.has("j") && name === feedName("j", 2)) return false;
        logs.set("j", taken("fed", 1));
        return true;
      },
    },
    createJobViews(api),
  );
  expect((await takes()).get("fed")).toBe("j");
  logs.delete("j");
  const ends = createFinder(
    {
      ...api,
      hasPackage: async () => {
        jobs.set("j", { submission_id: "j", status: "FAILED", metadata: { "espalier.attempts": "a" } });
        return true;
      },
    },
    createJobViews(api),
  );
  expect([...(await ends()).keys()]).toEqual(["a"]);
});

test("the log of an ended job is read once, however often attempts are looked for", async () => {
  const { api, jobs } = startRayOf();
  for (let index = 0; index < 80; index += 1) {
    const id = `j${index}`;
    jobs.set(id, { submission_id: id, status: "SUCCEEDED", metadata: { "espalier.attempts": `a${index}` } });
  }
  let reads = 0;
  const counting: RayApi = {
    ...api,
    async logs(id) {
      reads += 1;
      return api.logs(id);
    },
  };
  const find = createFinder(counting, createJobViews(counting));
  await find();
  await find();
  expect(reads).toBe(80);
});

test("jobs that ended are taken off Ray's list a day after, once their attempts are taken in", async () => {
  const { api, jobs } = startRayOf();
  const hour = 3_600_000;
  const ended = (id: string, end_time: number | null, metadata: RayJob["metadata"] = { "espalier.attempts": id }) =>
    jobs.set(id, { submission_id: id, status: "SUCCEEDED", end_time, metadata });
  ended("told", 1);
  ended("untold", 1);
  ended("running", null);
  ended("of another", 1);
  ended("not ours", 1, {});
  const jobsToTell = createJobsToTell(api);
  for (const job of ["told", "untold", "running"]) jobsToTell.placed(job, [job]);
  jobsToTell.told("told", "told");
  await jobsToTell.tidy(23 * hour);
  expect(jobs.size).toBe(5);
  await jobsToTell.tidy(25 * hour);
  expect([...jobs.keys()]).toEqual(["untold", "running", "of another", "not ours"]);
  jobsToTell.told("untold", "untold");
  await jobsToTell.tidy(9 * 24 * hour);
  expect([...jobs.keys()]).toEqual(["running", "not ours"]);
});
