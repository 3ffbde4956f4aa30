import type { RegistryMirror, TrackedFile, TrackedVersion } from "@espalier/core";
import { caseRunner, type Skips, type TestRunner } from "./suite.ts";

export interface MirroredModel {
  description: string;
  tags: Readonly<Record<string, string>>;
  aliases: Readonly<Record<string, string>>;
  versions: readonly {
    version: string;
    description: string;
    stage: string;
    tags: Readonly<Record<string, string>>;
    files: Readonly<Record<string, string>>;
  }[];
}

export interface RegistryMirrorSubject {
  open(): Promise<{
    mirror: RegistryMirror;
    /** Another process's mirror of the same project: it remembers nothing. */
    again(): RegistryMirror;
    /** A name that the server has not seen. */
    name: string;
    /** undefined: there is no such model. */
    model(name: string): Promise<MirroredModel | undefined>;
    close(): Promise<void>;
  }>;
  skips?: Skips;
}

const file = (path: string, text: string): TrackedFile => ({
  path,
  size: Buffer.byteLength(text),
  open: async () =>
    (async function* () {
      yield Buffer.from(text);
    })(),
});

/** Every mirror of the registry passes this. */
export function registryMirrorConformance(runner: TestRunner, subject: RegistryMirrorSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  type Opened = Awaited<ReturnType<RegistryMirrorSubject["open"]>>;
  const withMirror = (name: string, body: (opened: Opened) => Promise<void>): void =>
    it(name, async () => {
      const opened = await subject.open();
      try {
        await body(opened);
      } finally {
        await opened.close();
      }
    });
  const registered = (name: string) => ({ name, tags: {}, aliases: {}, createdAt: 1, updatedAt: 1 });
  const version = (name: string, number: number, fields: Partial<TrackedVersion> = {}): TrackedVersion => ({
    name,
    version: number,
    source: `espalier-artifact:${number}`,
    stage: "None",
    status: "READY",
    user: "ada",
    tags: {},
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_000,
    ...fields,
  });
  const content = (text: string) => async () => ({ files: [file("MLmodel", text), file("data/model.onnx", text)] });

  runner.describe("registry mirror conformance", () => {
    withMirror("says that it answers, and what it is", async ({ mirror }) => {
      expect((await mirror.check()).version).toMatch(/\d/);
    });
    withMirror("makes a model once and keeps its description and tags", async ({ mirror, again, name, ...server }) => {
      await mirror.putModel({ ...registered(name), description: "one", tags: { owner: "ml", old: "x" } });
      await again().putModel({ ...registered(name), description: "two", tags: { owner: "ml" } });
      expect(await server.model(name)).toMatchObject({ description: "two", tags: { owner: "ml" }, versions: [] });
    });
    withMirror("makes a version once, with its content", async ({ mirror, again, name, ...server }) => {
      await mirror.putModel(registered(name));
      const first = await mirror.putVersion(
        version(name, 3, { description: "third", tags: { checked: "yes" } }),
        content("a"),
      );
      const changed = version(name, 3, { description: "changed", stage: "Staging", tags: { checked: "no" } });
      expect(await mirror.putVersion(changed, content("a"), first)).toBe(first);
      expect(await again().putVersion(changed, content("a"))).toBe(first);
      const second = await mirror.putVersion(version(name, 4), content("b"));
      expect(second).not.toBe(first);
      const shown = (await server.model(name))?.versions ?? [];
      expect(shown).toHaveLength(2);
      const one = shown.find((found) => found.version === first);
      expect(one).toMatchObject({ description: "changed", stage: "Staging", tags: { checked: "no" } });
      expect(one?.files).toEqual({ MLmodel: "a", "data/model.onnx": "a" });
      expect(shown.find((found) => found.version === second)?.files).toEqual({ MLmodel: "b", "data/model.onnx": "b" });
    });
    withMirror("moves and removes aliases", async ({ mirror, name, ...server }) => {
      await mirror.putModel(registered(name));
      const one = await mirror.putVersion(version(name, 1), content("a"));
      const two = await mirror.putVersion(version(name, 2), content("b"));
      await mirror.setAliases(name, { champion: one, challenger: two });
      await mirror.setAliases(name, { champion: two });
      await mirror.setAliases(name, { champion: two });
      expect((await server.model(name))?.aliases).toEqual({ champion: two });
    });
    withMirror("removes versions and models, also those that are gone", async ({ mirror, name, ...server }) => {
      await mirror.putModel(registered(name));
      const one = await mirror.putVersion(version(name, 1), content("a"));
      await mirror.remove(name, one);
      await mirror.remove(name, one);
      expect((await server.model(name))?.versions).toEqual([]);
      await mirror.remove(name, undefined);
      await mirror.remove(name, undefined);
      expect(await server.model(name)).toBeUndefined();
    });
    finish();
  });
}
