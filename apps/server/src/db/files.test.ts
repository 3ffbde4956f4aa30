import { digestOfBytes, digestOfJson } from "@espalier/core";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import type { FileQueries, FolderEntry, NewFile } from "./queries/files.ts";
import type { ReferenceQueries } from "./queries/references.ts";
import { describeOnBoth } from "./testing/databases.ts";
import { newRun, runAttempt } from "./testing/runs.ts";

/** Files of a trace need no run. */
const root = "0/traces/t/artifacts/";
const newFile = (path: string, content = path): NewFile => ({
  path: `${root}${path}`,
  digest: digest(content),
  size: content.length,
  createdBy: "ana",
});

const digest = (content: string) => digestOfBytes(Buffer.from(content));

/** Of a folder of the trace. */
async function names(files: FileQueries, name: string, limit = 1000): Promise<FolderEntry[]> {
  const folder = `${root}${name}`.replace(/\/$/, "");
  const entries: FolderEntry[] = [];
  let after: string | undefined;
  do {
    const page = await files.list(folder, limit, after);
    expect(page.entries.length).toBeLessThanOrEqual(limit);
    entries.push(...page.entries);
    after = page.next;
  } while (after !== undefined);
  return entries;
}

describeOnBoth("tracked files", await startPostgres(), (database) => {
  test("a path holds one file, and another takes its place", async () => {
    const { files } = await database.open();
    expect(await files.get(`${root}1/a`)).toBeUndefined();
    await files.put(newFile("1/a", "one"));
    await files.put(newFile("1/a", "three"));
    expect(await files.get(`${root}1/a`)).toEqual({ path: `${root}1/a`, digest: digest("three"), size: 5 });
    expect(await (await database.open()).files.get(`${root}1/a`)).toBeUndefined();
  });

  test("a file is no folder and a folder no file", async () => {
    const { files } = await database.open();
    await files.put(newFile("1/a/b"));
    await expect(files.put(newFile("1/a"))).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(files.put(newFile("1/a/b/c/d"))).rejects.toMatchObject({
      code: "CONFLICT",
    });
    await files.put(newFile("1/a.b"));
    await files.put(newFile("1/a0"));
    expect(await names(files, "1")).toHaveLength(3);
  });

  test.each([1, 2, 3, 1000])("one level is listed, %i at a time, whatever sorts around the slash", async (limit) => {
    const { files } = await database.open();
    const paths = [
      "f/a",
      "f/b!",
      "f/b/x",
      "f/b/y/z",
      "f/b0",
      "f/c.d/e",
      "f/c.d0",
      "f/\u{ffff}",
      "f/\u{1f333}/t",
      "g/a",
      "f0",
    ];
    for (const path of paths) await files.put(newFile(path));
    expect(await names(files, "f", limit)).toEqual([
      { name: "a", isFolder: false, size: 3 },
      { name: "b!", isFolder: false, size: 4 },
      { name: "b", isFolder: true },
      { name: "b0", isFolder: false, size: 4 },
      { name: "c.d", isFolder: true },
      { name: "c.d0", isFolder: false, size: 6 },
      { name: "\u{ffff}", isFolder: false, size: 3 },
      { name: "\u{1f333}", isFolder: true },
    ]);
    expect((await names(files, "", limit)).map((entry) => entry.name)).toEqual(["f", "f0", "g"]);
    expect(await names(files, "f/a", limit)).toEqual([]);
    expect(await names(files, "nowhere", limit)).toEqual([]);
  });

  test("more files than one query reads are listed, gathered and removed whole", async () => {
    const { files } = await database.open();
    const paths = Array.from({ length: 1100 }, (_, index) => `t/many/${String(index).padStart(4, "0")}`);
    for (const path of [...paths, "t/last", "t/first"]) await files.put(newFile(path));
    expect((await names(files, "t")).map((entry) => entry.name)).toEqual(["first", "last", "many"]);
    expect(await names(files, "t/many", 400)).toHaveLength(1100);
    const below = await files.below(`${root}t/many`);
    expect(below.map((entry) => `t/many/${entry.path}`)).toEqual(paths);
    expect(below[7]).toEqual({
      path: "0007",
      size: "t/many/0007".length,
      sha256: digest("t/many/0007").slice("sha256:".length),
      executable: false,
    });
    expect(await files.remove(`${root}t/first`)).toBe(1);
    expect(await files.remove(`${root}t/many`)).toBe(1100);
    expect((await names(files, "t")).map((entry) => entry.name)).toEqual(["last"]);
    await expect(files.below(`${root}t/many`)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("only the folder of a run, logged model or trace takes files, and only while it is there", async () => {
    const record = await database.open();
    const { files, tracking } = record;
    const elsewhere = await tracking.experiments.create({
      name: "elsewhere",
      tags: [],
      artifactLocation: "mlflow-artifacts:/team/models/artifacts/x",
    });
    const start = async (id: string, experimentId: string): Promise<void> => {
      const made = {
        id,
        experimentId,
        parentRunId: undefined,
        name: id,
        userId: "ana",
        startTime: undefined,
        tags: [],
      };
      expect(await tracking.runs.create(made)).toMatchObject({ kind: "created" });
    };
    await start("run1", "0");
    await start("run2", elsewhere ?? "");
    const put = (path: string): Promise<void> => files.put({ path, digest: digest(""), size: 0, createdBy: "ana" });
    await put("0/run1/artifacts/a/artifacts/b");
    await put("team/models/artifacts/x/run2/artifacts/a");
    await put("team/models/artifacts/x/traces/t1/artifacts/traces.json");
    expect(await files.placeOf("0/run1/artifacts/a")).toMatchObject({ experimentId: "0", kind: "run", id: "run1" });
    expect(await files.placeOf("team/models/artifacts/x/run2/artifacts")).toMatchObject({
      experimentId: elsewhere,
      id: "run2",
    });
    expect(await files.placeOf("0/run1")).toBeUndefined();
    for (const [path, code] of [
      ["a", "INVALID_INPUT"],
      ["0/run1/a", "INVALID_INPUT"],
      ["0/run1/artifacts", "INVALID_INPUT"],
      ["0/nobody/artifacts/a", "NOT_FOUND"],
      ["1/run1/artifacts/a", "NOT_FOUND"],
      ["0/run2/artifacts/a", "NOT_FOUND"],
      ["0/models/m-1/artifacts/a", "NOT_FOUND"],
      [`${elsewhere}/traces/t1/artifacts/a`, "INVALID_INPUT"],
    ] as const) {
      await expect(put(path)).rejects.toMatchObject({ code });
      await expect(files.check(path)).rejects.toMatchObject({ code });
    }
    await tracking.runs.setStage("run1", "deleted");
    await expect(put("0/run1/artifacts/c")).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: /state is deleted/,
    });
    expect(await files.get("0/run1/artifacts/a/artifacts/b")).toBeDefined();
  });

  test("parts come in any order and again, and become one file or nothing", async () => {
    const { files, fileUploads, references } = await database.open();
    const path = `${root}big`;
    const part = (number: number, content = String(number)) => ({ number, digest: digest(content), size: 1 });
    await fileUploads.create({ id: "u1", path, parts: 2, createdBy: "ana" });
    await fileUploads.putPart("u1", part(2));
    await fileUploads.putPart("u1", part(1, "wrong"));
    await fileUploads.putPart("u1", part(1));
    await expect(fileUploads.putPart("u2", part(1))).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await fileUploads.parts("u1")).toEqual([part(1), part(2)]);
    expect(await digestsOf(references)).toEqual([digest("1"), digest("2")].sort());
    for (let time = 0; time < 2; time += 1) await fileUploads.complete("u1", newFile("big", "12"));
    expect(await fileUploads.get("u1")).toMatchObject({ path, parts: 2, completed: true });
    await fileUploads.abort("u1");
    expect(await files.get(path)).toEqual({ path, digest: digest("12"), size: 2 });
    expect(await digestsOf(references)).toEqual([digest("12")]);
    await expect(fileUploads.putPart("u1", part(1))).rejects.toMatchObject({ code: "CONFLICT" });

    await fileUploads.create({ id: "u3", path: `${root}other`, parts: 1, createdBy: "ana" });
    await fileUploads.putPart("u3", part(1));
    await fileUploads.abort("u3");
    await expect(fileUploads.complete("u3", newFile("other"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await fileUploads.parts("u3")).toEqual([]);
    expect(await fileUploads.forget(Date.now() - 86_400_000)).toBe(0);
    expect(await fileUploads.forget(Date.now() + 86_400_000)).toBe(1);
    expect(await fileUploads.get("u1")).toBeUndefined();
  });

  test("outputs are found by attempt, and by run and step; models by the digest of a version", async () => {
    const { published, models, engine } = await database.open();
    const run = await engine.createRun(newRun());
    const attemptId = await runAttempt({ engine }, run.id, []);
    const model = { type: "model", digest: digestOfJson(`model of ${run.id}`), size: 1 } as const;
    expect(await published.outputsOfAttempt(attemptId)).toEqual({ model });
    expect(await published.outputsOfAttempt("nobody")).toBeUndefined();
    expect(await published.stepsWithOutputs(run.id)).toEqual(["train"]);
    expect(await published.outputsOfStep(run.id, "train")).toEqual({ model });
    expect(await published.outputsOfStep(run.id, "check")).toBeUndefined();
    expect(await published.model(model.digest)).toBeUndefined();
    await models.register({ name: "flights", artifact: model, registeredBy: "ana" });
    expect(await published.model(model.digest)).toEqual({ artifact: model });
  });
});

async function digestsOf(references: ReferenceQueries): Promise<string[]> {
  const found: string[] = [];
  for await (const ref of references.artifacts()) found.push(ref.digest);
  return found.sort();
}
