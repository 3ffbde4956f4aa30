import type { Fault } from "../../fault.ts";
import { gridSize, mostTrials, searchOutputs } from "../trials.ts";
import { type Check, fault } from "./context.ts";

/** A search that could not begin, or whose names hide others. */
export const tunes: Check = (context) =>
  context.steps.flatMap(([name, step]): Fault[] => {
    const { tune } = step;
    if (tune === undefined) return [];
    const at = (...path: string[]): string[] => ["steps", name, "tune", ...path];
    const faults: Fault[] = [];
    if (step.map !== undefined) faults.push(fault("tune", at(), "a step can not have both `map` and `tune`"));
    if (step.run === undefined) faults.push(fault("tune", at(), "`tune` is for commands", "Give the step a `run:`."));
    for (const output of Object.keys(searchOutputs)) {
      if (step.outputs?.[output] === undefined) continue;
      const message = `\`${output}\` is an output of the search itself`;
      faults.push(fault("tune", ["steps", name, "outputs", output], message, "Give the output another name."));
    }
    if (Object.keys(tune.search).length === 0) {
      faults.push(
        fault("tune", at("search"), "the search has no parameters", "Add one: `depth: { integer: [2, 8] }`."),
      );
    }
    for (const [parameter, range] of Object.entries(tune.search)) {
      if (Object.hasOwn(context.pipeline.params ?? {}, parameter)) {
        const message = `\`${parameter}\` is already a parameter of the pipeline`;
        faults.push(fault("tune", at("search", parameter), message, "Give one of the two another name."));
      }
      const [low, high] = Object.values(range)[0] as [number, number];
      if (!("choice" in range) && low >= high) {
        faults.push(
          fault("tune", at("search", parameter), `the range [${low}, ${high}] is empty`, "Write [low, high]."),
        );
      }
      if ("log_uniform" in range && low <= 0) {
        faults.push(fault("tune", at("search", parameter), "a range of `log_uniform` begins above 0"));
      }
      if (tune.method === "grid" && !("choice" in range) && !("integer" in range)) {
        const hint = "List its values under `choice`, or take `method: random`.";
        faults.push(fault("tune", at("search", parameter), "a grid needs `choice` or `integer`", hint));
      }
    }
    const size = tune.method === "grid" ? gridSize(tune) : undefined;
    if (size !== undefined && size > mostTrials && tune.trials === undefined) {
      const hint = "Narrow the search, or take `method: random`.";
      faults.push(fault("tune", at("search"), `the grid has ${size} points, and ${mostTrials} are the most`, hint));
    }
    if (size !== undefined && tune.trials !== undefined) {
      faults.push(fault("tune", at("trials"), "a grid has as many trials as points", "Leave `trials` out."));
    }
    if (tune.method !== "grid" && tune.trials === undefined) {
      const message = `a ${tune.method} search needs the number of its trials`;
      faults.push(fault("tune", at("trials"), message, "Add `trials: 20`."));
    }
    return faults;
  });
