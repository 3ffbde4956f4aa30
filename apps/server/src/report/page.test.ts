import { describe, expect, it } from "vitest";
import { storyPage } from "./page.ts";
import { drawPlot } from "./plot.ts";
import { terminalLines } from "./terminal-lines.ts";
import { smallStory } from "./testing/story.ts";

const empty = { ...smallStory, headline: [], samples: [], monitors: [], retrainings: [], gates: [], lineage: [] };

describe("the page", () => {
  const page = storyPage(smallStory);

  it("needs no other file and no script", () => {
    expect(page).not.toMatch(/<script|<link|<img|\ssrc=|\shref=|url\(|@import|https?:/);
  });

  it("shows what people and data wrote as text", () => {
    expect(page).toContain("flights &lt;script&gt;alert(1)&lt;/script&gt;");
    expect(page).toContain("It is &lt;b&gt;better&lt;/b&gt;.");
    expect(page).toContain("delay &lt;-60");
  });

  it("draws a plot a monitor, each with every retraining, and the gate's intervals", () => {
    expect(page.match(/<svg /g)).toHaveLength(4);
    expect(page.match(/class="mark bad"/g)).toHaveLength(3);
    expect(page.match(/class="mark good"/g)).toHaveLength(3);
    expect(page).toContain("let through, +0.010");
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("balances its tags", () => {
    const opened = new Map<string, number>();
    for (const [, close, name = "", self] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?(\/?)>/g)) {
      if (self === "/" || ["meta", "br"].includes(name)) continue;
      opened.set(name, (opened.get(name) ?? 0) + (close === "/" ? -1 : 1));
    }
    expect([...opened].filter(([, count]) => count !== 0)).toEqual([]);
  });

  it("can tell a project in which nothing has happened", () => {
    expect(storyPage(empty)).toContain("The thirteen milestones");
    expect(storyPage(empty)).not.toContain("<svg");
  });
});

describe("a plot", () => {
  it("survives one point, equal values, and values that a log scale has no place for", () => {
    const plot = {
      title: "t",
      caption: "",
      limits: [],
      marks: [],
      format: String,
      series: [{ name: "s", tone: "accent" as const, points: [{ x: 0, y: 0, tooltip: "" }] }],
    };
    for (const scale of ["linear", "log"] as const) expect(drawPlot({ ...plot, scale })).not.toMatch(/NaN|Infinity/);
  });
});

describe("the lines", () => {
  it("have all thirteen milestones, the gate's decision and the lineage", () => {
    const lines = terminalLines(smallStory);
    expect(lines.filter((line) => /^ ?\d+ Milestone/.test(line))).toHaveLength(13);
    expect(lines.join("\n")).toContain(
      "let through: auc 0.660, +0.010 against the champion, interval −0.001 to +0.020",
    );
    expect(lines.at(-1)).toContain("./data/flights.parquet");
  });
});
