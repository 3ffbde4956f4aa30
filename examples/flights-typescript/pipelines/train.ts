import { definePipeline } from "@espalier/core";
import { clean } from "../steps/clean.ts";
import { features } from "../steps/features.ts";
import { split } from "../steps/split.ts";
import { train } from "../steps/train.ts";

const params = { late_minutes: 15, test_from: "2001-03-01", prior_flights: 50, penalty: 1 };

export const pipeline = definePipeline({ name: "train", params }, (p) => {
  const ingest = p.step("ingest", {
    uses: "dataset",
    inputs: { file: "./data/flights-20k.json" },
    with: { name: "flights-20k" },
  });
  const cleaned = p.step("clean", { uses: clean, inputs: { flights: ingest.outputs.dataset } });
  const rows = p.step("features", { uses: features, inputs: { flights: cleaned.outputs.flights } });
  const parts = p.step("split", { uses: split, inputs: { rows: rows.outputs.rows } });
  const trained = p.step("train", {
    uses: train,
    inputs: { rows: parts.outputs.train },
    // A condition reads `value` outputs: without rows of both kinds there is nothing to learn.
    when: "split.counts.train > 1000",
  });
  p.step("evaluate", {
    uses: "evaluate",
    inputs: { model: trained.outputs.model, data: parts.outputs.test },
    with: { target: "late", task: "binary", slices: ["hour"], block: "day" },
  });
  const gate = p.step("gate", {
    uses: "gate",
    inputs: {
      candidate: trained.outputs.model,
      champion: "models:/flights-typescript@champion",
      data: parts.outputs.test,
      policy: "./gates/flights.yaml",
    },
  });
  const registered = p.step("register", {
    uses: "register",
    inputs: { model: gate.outputs.model },
    with: { name: "flights-typescript", alias: "challenger" },
  });
  p.step("deploy", {
    uses: "deploy",
    inputs: { model: registered.outputs.version },
    with: { endpoint: "flights-typescript" },
  });
});
