import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadEmbeddedParts } from "@espalier/host";
import { literal } from "@espalier/quality";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { joinLabels, type TrafficDatabase, type TrafficFiles, viewTraffic } from "./traffic.ts";

const at = (day: number, hour = 0) => Date.UTC(2001, 3, day, hour);
const window = { start: at(1), end: at(8) };

describe("labels of captured predictions", () => {
  let directory: string;
  let database: TrafficDatabase;
  const files: { captured: string[]; labels: string[] } & TrafficFiles = { captured: [], labels: [] };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "espalier-traffic-"));
    const { compactCapture, openDuckDb } = await loadEmbeddedParts();
    database = await openDuckDb({ threads: 1 });
    const line = (id: string, scores: number[], servedAt = at(2)) =>
      JSON.stringify({ id, rows: scores.length, eventTime: at(2), servedAt, c0: scores.map(() => 1), score: scores });
    const header = (more: object) =>
      JSON.stringify({
        capture: 1,
        model: "m",
        version: "1",
        inputs: [{ name: "x", type: "double" }],
        scoreType: "number",
        ...more,
      });
    // A segment of before outputs were captured, and one of after, whose input is hashed.
    await writeFile(
      join(directory, "01A-1.jsonl"),
      [header({}), line("single", [0.1]), line("batch", [0.2, 0.3, 0.4]), ""].join("\n"),
    );
    const hashed = {
      inputs: [{ name: "x", type: "string", redacted: "hashed" }],
      outputs: [{ name: "p", type: "double" }],
    };
    await writeFile(
      join(directory, "01B-1.jsonl"),
      [
        header(hashed),
        // Replayed after a crash: the first answer counts.
        line("single", [0.9], at(3)),
        `{"id":"newer","rows":2,"eventTime":${at(2)},"servedAt":${at(2)},"c0":["aa","bb"],"o0":[0.5,0.6],"score":[0.5,0.6]}`,
        "",
      ].join("\n"),
    );
    const { files: compacted, skipped } = await compactCapture(directory);
    expect(skipped).toEqual([]);
    files.captured = compacted.map(({ path }) => path);
    const labels = (name: string, ...rows: [id: string, label: number | null, arrived: string][]) => {
      const path = join(directory, `${name}.parquet`);
      files.labels.push(path);
      const values = rows.map(
        ([id, label, arrived]) => `(${literal(id)}, ${label}::DOUBLE, TIMESTAMP ${literal(arrived)})`,
      );
      return database.run(
        `COPY (SELECT * FROM (VALUES ${values.join(", ")}) v(prediction_id, label, arrived_at)) TO ${literal(path)} (FORMAT parquet)`,
      );
    };
    await labels(
      "first",
      ["single", 0, "2001-04-03"],
      ["batch-0", 1, "2001-04-03"],
      ["batch-2", 0, "2001-04-03"],
      // The request's own id names none of its rows.
      ["batch", 1, "2001-04-03"],
      ["elsewhere", 1, "2001-04-03"],
      ["newer-1", null, "2001-04-03"],
    );
    await labels(
      "second",
      // Corrected, and said twice.
      ["single", 1, "2001-04-05"],
      ["single", 1, "2001-04-05"],
      ["batch-1", 1, "2001-04-09"],
      ["newer-1", 1, "2001-04-04"],
    );
  });
  afterAll(async () => {
    await database.close();
    await rm(directory, { recursive: true, force: true });
  });

  const labelled = async (asOf: number) => {
    await viewTraffic(database, files, window);
    await joinLabels(database, files, asOf);
    const rows = await database.rows("SELECT score, label FROM labelled ORDER BY score");
    return rows.map(({ score, label }) => [score, label]);
  };

  it("counts each prediction once, and only labels that had arrived", async () => {
    expect(await labelled(at(3, 12))).toEqual([
      [0.1, 0],
      [0.2, 1],
      [0.4, 0],
    ]);
  });

  it("a correction replaces the label before it, late ones come in when they come", async () => {
    expect(await labelled(at(5, 12))).toEqual([
      [0.1, 1],
      [0.2, 1],
      [0.4, 0],
      [0.6, 1],
    ]);
    expect((await labelled(at(10))).map(([score]) => score)).toEqual([0.1, 0.2, 0.3, 0.4, 0.6]);
    // Looking back, what was known then counts.
    expect((await labelled(at(3, 12))).map(([, label]) => label)).toEqual([0, 1, 0]);
  });
});
