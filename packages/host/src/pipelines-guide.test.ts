import { readFileSync } from "node:fs";
import { recordBuiltins } from "@espalier/core";
import { dataBuiltins } from "@espalier/embedded";
import { expect, test } from "vitest";
import { checkPipelineFile } from "./check-pipeline.ts";
import { findTool } from "./find-tool.ts";
import { loadPipelines } from "./pipelines.ts";
import { loadProject } from "./project.ts";
import { temporaryProject } from "./testing/temporary-project.ts";

const guide = readFileSync(new URL("../../../docs/pipelines.md", import.meta.url), "utf8");
const snippets = [...guide.matchAll(/^```(\S+) (\S+)\n([\s\S]*?)^```$/gm)].map(([, language, name, text]) => ({
  language,
  name: name ?? "",
  text: text ?? "",
}));

/** The guide's snippets as one project, with the files that they name. */
function filesOfGuide(): Record<string, string> {
  const yaml = snippets.filter(({ name }) => name === "pipeline");
  const files: Record<string, string> = Object.fromEntries(
    ["data/flights.parquet", "sql/features.sql", "src/train.py", "requirements.txt", "gates/flights.yaml"].map(
      (path) => [path, ""],
    ),
  );
  for (const [index, { text }] of yaml.entries()) files[`pipelines/guide-${index}.yaml`] = text;
  for (const { name, text } of snippets) if (name.endsWith(".ts")) files[name] = text;
  files["espalier.yaml"] = snippets.find(({ name }) => name === "project")?.text ?? "";
  files["package.json"] = '{"type":"module"}';
  return files;
}

test("every snippet of docs/pipelines.md is what it says", async () => {
  const { directory, close } = await temporaryProject(filesOfGuide());
  try {
    const project = await loadProject(directory);
    const builtins = [...dataBuiltins, ...Object.values(recordBuiltins)];
    const pipelines = await loadPipelines(directory);
    expect(pipelines.map(({ file }) => file)).toEqual([
      "pipelines/flights.ts",
      "pipelines/guide-0.yaml",
      "pipelines/guide-1.yaml",
      "pipelines/guide-2.yaml",
    ]);
    for (const stack of Object.keys(project.stacks)) {
      for (const parsed of pipelines) expect(await checkPipelineFile(project, parsed, { builtins, stack })).toEqual([]);
    }
    const tool = await findTool("compute", `npm:${directory}/tools/index.ts`, directory, "stacks.x.compute");
    expect(tool.manifest.tool).toBe("lsf");
  } finally {
    await close();
  }
});

test("the guide names every key", () => {
  const schema = JSON.parse(
    readFileSync(new URL("../../../docs/schemas/pipeline.schema.json", import.meta.url), "utf8"),
  );
  const keys = [
    ...Object.keys(schema.properties),
    ...Object.keys(schema.properties.steps.additionalProperties.properties),
  ];
  expect(keys.filter((key) => !guide.includes(`| \`${key}\` |`))).toEqual([]);
});
