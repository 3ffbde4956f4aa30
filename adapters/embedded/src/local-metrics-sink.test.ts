import { appendFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { metricsSinkConformance } from "@espalier/conformance";
import { describe, expect, it } from "vitest";
import { createLocalMetricsSink } from "./local-metrics-sink.ts";

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "espalier-metrics-"));

metricsSinkConformance(
  { describe, it, expect },
  {
    async open() {
      const folder = await newFolder();
      return { sink: createLocalMetricsSink({ path: folder }), close: () => rm(folder, { recursive: true }) };
    },
  },
);

describe("the local metrics sink", () => {
  const day = 24 * 60 * 60 * 1000;
  const start = Date.UTC(2001, 3, 1);
  const sample = (index: number) => ({ name: "a", labels: {}, value: index, timestamp: start + index * day });

  it("loses only the line that a crash cut off", async () => {
    const folder = await newFolder();
    await createLocalMetricsSink({ path: folder }).write([sample(0)]);
    await appendFile(join(folder, "2001-04-01.jsonl"), '{"n":"a","l":{},"v":');
    const sink = createLocalMetricsSink({ path: folder });
    await sink.write([{ ...sample(0), value: 7, timestamp: start + 1 }]);
    expect((await sink.query?.("a", {}, start, start + day))?.map(({ value }) => value)).toEqual([0, 7]);
    await rm(folder, { recursive: true });
  });

  it("keeps the newest days, and refuses a query without bounds", async () => {
    const folder = await newFolder();
    const sink = createLocalMetricsSink({ path: folder, days: 3, query_samples: 2 });
    for (let index = 0; index < 5; index += 1) await sink.write([sample(index)]);
    expect((await readdir(folder)).sort()).toEqual(["2001-04-03.jsonl", "2001-04-04.jsonl", "2001-04-05.jsonl"]);
    await expect(sink.query?.("a", {}, 0, start + 9 * day)).rejects.toMatchObject({ code: "TOO_LARGE" });
    await rm(folder, { recursive: true });
  });
});
