import type { MonitorStory, Story } from "../story.ts";

const weeks = ["2001-04-01", "2001-04-08", "2001-04-15"];

function monitor(name: string, kind: string, results: MonitorStory["windows"][number]["results"]): MonitorStory {
  return {
    name,
    kind,
    endpoint: "flights",
    thresholds: { psi: 0.2 },
    windows: weeks.map((from, index) => ({
      from,
      to: weeks[index + 1] ?? "2001-04-22",
      status: index === 2 ? "alert" : "ok",
      summary: `week ${index}`,
      action: "train was started for 2001-04-24.",
      served: "flights-delay@1",
      results,
    })),
  };
}

/** A small story with one of everything, and text that tries to be markup. */
export const smallStory: Story = {
  project: "flights <script>alert(1)</script>",
  gatheredAt: "2001-07-03T00:00:00.000Z",
  headline: ["2 retrainings"],
  milestones: Array.from({ length: 13 }, (_, index) => ({
    number: index + 1,
    title: `Milestone ${index + 1}`,
    lines: index === 12 ? [] : [`line of ${index + 1}`, `more of ${index + 1}`],
  })),
  samples: [{ title: "delay <-60", columns: ["row", "delay"], rows: [["7", "-1116"]] }],
  monitors: [
    monitor("ranking", "performance", { auc: { value: 0.64, lower: 0.6, upper: 0.68, gate: 0.65, limit: 0.62 } }),
    monitor("calibration", "performance", { bias: { value: 0.06, lower: 0.04, upper: 0.08, limit: 0.05 } }),
    monitor("inputs", "drift", {
      columns: [
        { column: "hour", outcome: "drifted", measures: { psi: 0.3 } },
        { column: "origin_rate", outcome: "not_judged", measures: { psi: 2 } },
      ],
    }),
  ],
  retrainings: [
    {
      runId: "01A",
      date: "2001-04-20",
      trigger: "its schedule",
      outcome: "refused",
      sentence: "The interval reaches below.",
    },
    {
      runId: "01B",
      date: "2001-04-24",
      trigger: "the monitor inputs",
      outcome: "rolled out",
      version: "m@2",
      sentence: "",
    },
  ],
  gates: [
    {
      id: "v1",
      candidate: "m@2",
      date: "2001-04-24",
      outcome: "passed",
      allowed: true,
      comparedWith: "champion",
      metric: "auc",
      value: 0.66,
      reference: 0.65,
      difference: { value: 0.01, lower: -0.001, upper: 0.02 },
      margin: 0.005,
      needed: -0.005,
      confidence: 0.95,
      blocks: "31 days resampled",
      reasons: ["It is <b>better</b>."],
    },
  ],
  lineage: [
    { kind: "prediction", title: "s7-1", detail: "score 0.2" },
    { kind: "source", title: "./data/flights.parquet", detail: "" },
  ],
};
