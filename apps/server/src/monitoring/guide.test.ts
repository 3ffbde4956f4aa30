import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseProject, readYamlDocument } from "@espalier/host";
import { describe, expect, it } from "vitest";
import { readSimulationFile, simulationFileSchema } from "../simulation/simulation-file.ts";
import { monitorSettings } from "./monitor-settings.ts";

const root = resolve(import.meta.dirname, "../../../..");

async function snippets(): Promise<string[]> {
  const guide = await readFile(resolve(root, "docs/monitoring.md"), "utf8");
  return [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
}

describe("the guide to monitoring", () => {
  it("shows monitors that are accepted", async () => {
    const [monitors = ""] = await snippets();
    const { config, faults } = parseProject(`project: guide\n${monitors}`);
    expect(faults).toEqual([]);
    const kinds = Object.entries(config?.monitors ?? {}).map(([name, monitor]) => monitorSettings(name, monitor).kind);
    expect(kinds).toEqual(["drift", "performance"]);
  });

  it("shows the simulation of the flights example", async () => {
    const [, simulation = ""] = await snippets();
    const shown = simulationFileSchema.parse(readYamlDocument(simulation, "guide").value);
    const example = await readSimulationFile(resolve(root, "examples/flights-delay"), { endpoint: "flights" });
    expect(shown).toEqual(example.file);
  });
});

describe("a simulation's file", () => {
  const flights = resolve(root, "examples/flights-delay");

  it("takes what the caller overrides, and names what is wrong", async () => {
    const read = (request: object) => readSimulationFile(flights, { endpoint: "flights", ...request });
    expect((await read({ overrides: { to: "2001-04-08", seed: undefined } })).file).toMatchObject({
      to: "2001-04-08",
      seed: 7,
    });
    await expect(read({ overrides: { to: "2001-03-01" } })).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      message: "`to` is the day after the last, so it comes after `from`",
      at: expect.stringContaining("simulations/april-to-june.yaml:"),
    });
    await expect(read({ config: "../elsewhere.yaml" })).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(read({ config: "simulations/none.yaml" })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(readSimulationFile(flights, { endpoint: "trains" })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
