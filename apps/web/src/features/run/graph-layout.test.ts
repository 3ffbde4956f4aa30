import { expect, test } from "vitest";
import { layOut, nodeHeight, nodeWidth } from "./graph-layout.ts";

const diamond = { ingest: [], left: ["ingest"], right: ["ingest"], join: ["left", "right"] };

test("every step stands right of what it needs, and none on another", () => {
  const { steps, needs } = layOut(diamond);
  const at = new Map(steps.map((step) => [step.step, step]));
  for (const { from, to } of needs) expect(at.get(to)?.x).toBeGreaterThan((at.get(from)?.x ?? 0) + nodeWidth);
  expect(needs).toHaveLength(4);
  for (const one of steps)
    for (const other of steps)
      if (one !== other)
        expect(Math.abs(one.x - other.x) >= nodeWidth || Math.abs(one.y - other.y) >= nodeHeight).toBe(true);
});

test("all lies within the drawing's size, and the same graph is drawn the same", () => {
  const drawn = layOut(diamond);
  for (const { x, y } of drawn.steps) {
    expect(x).toBeGreaterThanOrEqual(0);
    expect(x + nodeWidth).toBeLessThanOrEqual(drawn.width);
    expect(y + nodeHeight).toBeLessThanOrEqual(drawn.height);
  }
  expect(layOut(diamond)).toEqual(drawn);
});

test("a need that is no step of the graph draws nothing, and no steps are no error", () => {
  expect(layOut({ one: ["gone"] }).needs).toEqual([]);
  expect(layOut({ one: ["gone"] }).steps.map(({ step }) => step)).toEqual(["one"]);
  expect(layOut({}).steps).toEqual([]);
});
