import { expect, test } from "vitest";
import { namedSecrets } from "./named-secrets.ts";
import { loadProject } from "./project.ts";
import { temporaryProject } from "./testing/temporary-project.ts";

const text = `project: flights
stacks:
  servers:
    tracking: { uses: mlflow, with: { tracking_uri: "http://127.0.0.1:5000", token_secret: MLFLOW_TOKEN } }
    compute:
      train: { uses: npm:@acme/lsf, with: { accounts: [{ password_secret: LSF_PASSWORD }], no_secret: 3 } }
  staging:
    extends: servers
    tracking: { with: { tracking_uri: "http://127.0.0.1:5001" } }
    registry:
      with: { tracking_uri: "http://127.0.0.1:5001", token_secret: REGISTRY_TOKEN }
`;

test("secrets are found wherever settings name them, at the place where that is written", async () => {
  const { directory, close } = await temporaryProject({ "espalier.yaml": text });
  try {
    const project = await loadProject(directory);
    expect(namedSecrets(project, "servers")).toEqual([
      { name: "MLFLOW_TOKEN", at: "espalier.yaml:4:78" },
      { name: "LSF_PASSWORD", at: "espalier.yaml:6:58" },
    ]);
    expect(namedSecrets(project, "staging").map(({ name, at }) => [name, at.split(":")[1]])).toEqual([
      ["MLFLOW_TOKEN", "4"],
      ["REGISTRY_TOKEN", "11"],
      ["LSF_PASSWORD", "6"],
    ]);
    expect(namedSecrets(project, "none")).toEqual([]);
  } finally {
    await close();
  }
});
