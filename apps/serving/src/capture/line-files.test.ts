import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type FileHandle, mkdir, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLineFiles, type LineFilesOptions } from "./line-files.ts";

describe("line files", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "espalier-lines-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  let files = 0;
  const settings = (options: Partial<LineFilesOptions> = {}): LineFilesOptions => ({
    directory,
    header: '{"header":1}',
    maxFileBytes: 1000,
    maxFileSeconds: 60,
    maxBufferBytes: 1_000_000,
    nextFile() {
      const stem = join(directory, String(files++).padStart(6, "0"));
      return { openPath: `${stem}.open`, closedPath: `${stem}.jsonl` };
    },
    ...options,
  });
  const linesOf = async (at = directory): Promise<string[]> => {
    const names = (await readdir(at)).filter((name) => name.endsWith(".jsonl")).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(at, name), "utf8")));
    return texts.flatMap((text) => text.trimEnd().split("\n")).filter((line) => line !== '{"header":1}');
  };
  const lines = (count: number) =>
    Array.from({ length: count }, (_, index) => JSON.stringify({ index, text: "x".repeat(50) }));

  it("closes files by size and at the end; each begins with the header", async () => {
    const subject = createLineFiles(settings());
    for (const line of lines(40)) {
      subject.add(line, 2);
      if (line.includes('"index":20,')) await subject.flush();
    }
    await subject.close();
    expect(await linesOf()).toEqual(lines(40));
    expect(subject.counts()).toEqual({ captured: 80, dropped: 0 });
    expect((await readdir(directory)).filter((name) => name.endsWith(".open"))).toEqual([]);
    const first = await readFile(join(directory, (await readdir(directory))[0] ?? ""), "utf8");
    expect(first.split("\n")[0]).toBe('{"header":1}');
  });

  it("on a full disk whole lines are there, the others are counted, and it goes on when there is space", async (context) => {
    if (process.getuid?.() !== 0) return context.skip("only root may mount a small disk");
    const disk = join(directory, "disk");
    await mkdir(disk);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], { encoding: "utf8" });
    if (mounted.status !== 0) return context.skip(`mount failed: ${mounted.stderr}`);
    try {
      let file = 0;
      const subject = createLineFiles(
        settings({
          directory: disk,
          maxFileBytes: 10_000_000,
          nextFile() {
            const stem = join(disk, String(file++).padStart(6, "0"));
            return { openPath: `${stem}.open`, closedPath: `${stem}.jsonl` };
          },
        }),
      );
      subject.add(lines(1)[0] ?? "", 1);
      await subject.flush();
      for (const line of lines(2000)) subject.add(line, 1);
      await expect(subject.flush()).rejects.toMatchObject({ code: "ENOSPC" });
      expect(subject.counts()).toEqual({ captured: 1, dropped: 2000 });
      expect((await readdir(disk)).filter((name) => name.endsWith(".open"))).toEqual([]);
      for (const line of lines(100)) subject.add(line, 1);
      await subject.close();
      expect(await linesOf(disk)).toEqual([...lines(1), ...lines(100)]);
      expect(subject.counts()).toEqual({ captured: 101, dropped: 2000 });
    } finally {
      expect(spawnSync("umount", [disk]).status).toBe(0);
    }
  });

  it("a sink that stalls holds nobody up: lines wait up to the limit, then are dropped and counted", async () => {
    // A pipe that nobody reads blocks its writer once 64 KiB are in it.
    const pipe = join(directory, "pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    const opened: FileHandle[] = [];
    const subject = createLineFiles(
      settings({
        maxBufferBytes: 200_000,
        async openFile() {
          const handle = await open(pipe, "r+");
          opened.push(handle);
          return handle;
        },
      }),
    );
    const add = (count: number) => {
      for (const line of lines(count)) subject.add(line, 1);
    };
    add(1000);
    await expect(subject.flush()).rejects.toMatchObject({ code: "TIMEOUT" });
    add(10_000);
    // What the disk has not taken yet is still in memory, and counts.
    const kept = 10_000 - subject.counts().dropped;
    const bytes = lines(1000)
      .concat(lines(kept))
      .reduce((sum, line) => sum + line.length + 1, 0);
    expect(bytes).toBeLessThanOrEqual(200_000);
    expect(subject.counts().dropped).toBeGreaterThan(5000);
    expect(subject.counts().captured).toBe(0);
    const closing = subject.close();
    await closing;
    expect(subject.counts().dropped).toBe(11_000);
    // Let the blocked thread go: somebody reads.
    const reader = spawn("cat", [pipe], { stdio: "ignore" });
    await once(reader, "spawn");
    while (
      (await Promise.race([
        opened[0]?.stat().then(
          () => "open",
          () => "closed",
        ),
        delay(100),
      ])) === "open"
    )
      await delay(20);
    reader.kill();
  });

  it("kill -9 at any time leaves closed files whole, and at most half a line in the open one", async () => {
    const program = `
      import { createLineFiles } from ${JSON.stringify(new URL("./line-files.ts", import.meta.url).href)};
      let file = 0;
      const files = createLineFiles({
        directory: ${JSON.stringify(directory)}, maxFileBytes: 20000, maxFileSeconds: 60, maxBufferBytes: 1e7,
        nextFile() {
          const stem = ${JSON.stringify(join(directory, "k"))} + String(file++).padStart(6, "0");
          return { openPath: stem + ".open", closedPath: stem + ".jsonl" };
        },
      });
      let index = 0;
      setInterval(() => { for (let n = 0; n < 50; n++) files.add(JSON.stringify({ index: index++ }), 1); }, 1);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    while ((await readdir(directory)).filter((name) => name.endsWith(".jsonl")).length < 3) await delay(10);
    child.kill("SIGKILL");
    await once(child, "close");
    const closed = await linesOf();
    expect(closed.map((line) => JSON.parse(line).index)).toEqual(closed.map((_, index) => index));
    const names = (await readdir(directory)).filter((name) => name.endsWith(".open"));
    expect(names.length).toBeLessThanOrEqual(1);
    for (const name of names) {
      const whole = (await readFile(join(directory, name), "utf8")).split("\n").slice(0, -1);
      expect(whole.map((line) => JSON.parse(line).index)).toEqual(whole.map((_, index) => closed.length + index));
    }
  });
});
