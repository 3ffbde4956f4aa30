import type { TrackedExperiment, TrackedModel, TrackedPoint, TrackedRun, TrackerMirror } from "@espalier/core";
import { caseRunner, codeOf, type Skips, type TestRunner } from "./suite.ts";

/** What the server shows of a run, asked without the mirror. */
export interface MirroredRun {
  name: string;
  status: string;
  lifecycle: string;
  endTime: number | undefined;
  params: Readonly<Record<string, string>>;
  tags: Readonly<Record<string, string>>;
  inputs: readonly string[];
  /** Ids of the logged models that it made. */
  models: readonly string[];
  points(key: string): Promise<TrackedPoint[]>;
  /** Paths and texts of its files. */
  files(): Promise<Record<string, string>>;
}

export interface TrackerMirrorSubject {
  /** A mirror of a project that the server has not seen. */
  open(): Promise<{
    mirror: TrackerMirror;
    /** Another process's mirror of the same project: it remembers nothing. */
    again(): TrackerMirror;
    run(id: string): Promise<MirroredRun>;
    experiment(id: string): Promise<{ name: string; lifecycle: string; tags: Readonly<Record<string, string>> }>;
    close(): Promise<void>;
  }>;
  skips?: Skips;
}

const experiment: TrackedExperiment = { id: "7", name: "flights", lifecycle: "active", tags: { team: "delays" } };
const run = (experimentId: string, fields: Partial<TrackedRun> = {}): TrackedRun => ({
  id: "our-run-1",
  experimentId,
  name: "first",
  user: "ada",
  status: "RUNNING",
  lifecycle: "active",
  startTime: 1_700_000_000_000,
  ...fields,
});

const loggedModelCase = "makes a logged model once, and links it to its run once";

/** Every mirror of the tracker passes this. */
export function trackerMirrorConformance(runner: TestRunner, subject: TrackerMirrorSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  type Opened = Awaited<ReturnType<TrackerMirrorSubject["open"]>>;
  const withMirror = (name: string, body: (opened: Opened) => Promise<void>): void =>
    it(name, async () => {
      const opened = await subject.open();
      try {
        await body(opened);
      } finally {
        await opened.close();
      }
    });

  runner.describe("tracker mirror conformance", () => {
    withMirror("says that it answers, and what it is", async ({ mirror }) => {
      expect((await mirror.check()).version).toMatch(/\d/);
    });
    withMirror("makes an experiment once, renames, deletes and restores it", async ({ mirror, again, ...server }) => {
      const id = await mirror.putExperiment(experiment);
      expect(await mirror.putExperiment(experiment)).toBe(id);
      expect(await again().putExperiment(experiment)).toBe(id);
      expect((await server.experiment(id)).tags).toMatchObject({ team: "delays" });
      const renamed = { ...experiment, name: "flights-2", tags: { team: "other" } };
      expect(await mirror.putExperiment(renamed, id)).toBe(id);
      expect(await server.experiment(id)).toMatchObject({ tags: { team: "other" } });
      expect((await server.experiment(id)).name).toContain("flights-2");
      await mirror.putExperiment({ ...renamed, lifecycle: "deleted" }, id);
      expect((await server.experiment(id)).lifecycle).toBe("deleted");
      await again().putExperiment(renamed);
      expect((await server.experiment(id)).lifecycle).toBe("active");
    });
    withMirror("makes a run once, ends, deletes and restores it", async ({ mirror, again, ...server }) => {
      const experimentId = await mirror.putExperiment(experiment);
      const id = await mirror.putRun(run(experimentId));
      expect(await mirror.putRun(run(experimentId), id)).toBe(id);
      expect(await again().putRun(run(experimentId))).toBe(id);
      expect(await server.run(id)).toMatchObject({ name: "first", status: "RUNNING", lifecycle: "active" });
      const ended = run(experimentId, { name: "renamed", status: "FAILED", endTime: 1_700_000_000_500 });
      await mirror.putRun(ended, id);
      expect(await server.run(id)).toMatchObject({ name: "renamed", status: "FAILED", endTime: 1_700_000_000_500 });
      await mirror.putRun({ ...ended, lifecycle: "deleted" }, id);
      expect((await server.run(id)).lifecycle).toBe("deleted");
      await again().putRun({ ...ended, lifecycle: "deleted" });
      await mirror.log(id, { points: [{ key: "late", value: 1, step: 0, timestamp: 1 }] });
      expect((await server.run(id)).lifecycle).toBe("deleted");
      expect(await (await server.run(id)).points("late")).toHaveLength(1);
      await mirror.putRun(ended, id);
      expect((await server.run(id)).lifecycle).toBe("active");
      const child = await mirror.putRun(run(experimentId, { id: "our-run-2", parentRunId: id }));
      expect((await server.run(child)).tags["mlflow.parentRunId"]).toBe(id);
    });
    withMirror("carries any number of values, again without doubling them", async ({ mirror, ...server }) => {
      const id = await mirror.putRun(run(await mirror.putExperiment(experiment)));
      const points = Array.from({ length: 2_500 }, (_, step) => ({
        key: "loss",
        value: 1 / (step + 1),
        step,
        timestamp: step,
      }));
      const params = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`p${index}`, `${index}`]));
      const tags = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`t${index}`, `é${index}`]));
      const content = { params, tags, points };
      expect(await mirror.log(id, content)).toEqual({ refused: [] });
      expect(await mirror.log(id, content)).toEqual({ refused: [] });
      const shown = await server.run(id);
      expect(shown.params).toEqual(params);
      expect(shown.tags).toMatchObject(tags);
      expect(await shown.points("loss")).toEqual(points);
    });
    withMirror("keeps NaN and 64-bit steps", async ({ mirror, ...server }) => {
      const id = await mirror.putRun(run(await mirror.putExperiment(experiment)));
      const point = { key: "odd", value: Number.NaN, step: 2n ** 60n + 1n, timestamp: 1_700_000_000_000 };
      await mirror.log(id, { points: [point] });
      expect(await (await server.run(id)).points("odd")).toEqual([point]);
    });
    withMirror("deletes tags, and tells which parameters were refused", async ({ mirror, ...server }) => {
      const id = await mirror.putRun(run(await mirror.putExperiment(experiment)));
      await mirror.log(id, { params: { a: "1" }, tags: { x: "1", y: "2" } });
      expect(await mirror.log(id, { params: { a: "2", b: "3" }, tags: { x: null, never: null } })).toEqual({
        refused: ["a"],
      });
      const shown = await server.run(id);
      expect(shown.params).toEqual({ a: "1", b: "3" });
      expect(shown.tags["x"]).toBeUndefined();
      expect(shown.tags["y"]).toBe("2");
    });
    withMirror("tells which data sets a run read", async ({ mirror, ...server }) => {
      const id = await mirror.putRun(run(await mirror.putExperiment(experiment)));
      const input = {
        name: "train",
        digest: "abc",
        sourceType: "local",
        source: "{}",
        tags: { "mlflow.data.context": "training" },
      };
      await mirror.log(id, { inputs: [input] });
      await mirror.log(id, { inputs: [input] });
      expect((await server.run(id)).inputs).toEqual(["train abc"]);
    });
    withMirror("streams files under odd names, again in place", async ({ mirror, ...server }) => {
      const id = await mirror.putRun(run(await mirror.putExperiment(experiment)));
      const file = (path: string, text: string) => ({
        path,
        size: Buffer.byteLength(text),
        open: async () =>
          (async function* () {
            for (const part of text.match(/.{1,3}/gsu) ?? []) yield Buffer.from(part);
          })(),
      });
      await mirror.putFile({ kind: "run", id }, file("a b/é=1.txt", "one"));
      await mirror.putFile({ kind: "run", id }, file("a b/é=1.txt", "two, longer"));
      await mirror.putFile({ kind: "run", id }, file("empty", ""));
      expect(await (await server.run(id)).files()).toEqual({ "a b/é=1.txt": "two, longer", empty: "" });
    });
    withMirror(loggedModelCase, async ({ mirror, again, ...server }) => {
      const experimentId = await mirror.putExperiment(experiment);
      const runId = await mirror.putRun(run(experimentId));
      const model: TrackedModel = {
        id: "m-ours",
        experimentId,
        name: "model",
        runId,
        status: "READY",
        params: { depth: "3" },
        tags: { team: "delays" },
        metrics: [{ key: "auc", value: 0.5, step: 1, timestamp: 1_700_000_000_000, runId }],
        createdAt: 1_700_000_000_000,
        updatedAt: 1_700_000_000_000,
      };
      const id = await mirror.putModel(model);
      expect(await mirror.putModel({ ...model, tags: { team: "other" } }, id)).toBe(id);
      expect(await again().putModel(model)).toBe(id);
      for (let time = 0; time < 2; time += 1) {
        await mirror.log(runId, { models: [{ modelId: id, direction: "output", step: 0 }] });
      }
      expect((await server.run(runId)).models).toEqual([id]);
    });
    withMirror("refuses a run that it does not know", async ({ mirror }) => {
      const work = () => mirror.log("0123456789abcdef0123456789abcdef", { tags: { a: "1" } });
      expect(await codeOf(work)).toBe("NOT_FOUND");
    });
    finish();
  });
}
