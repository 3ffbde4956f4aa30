import { randomUUID } from "node:crypto";
import { registryMirrorConformance, trackerMirrorConformance } from "@espalier/conformance";
import type { TrackedPoint } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { connectMlflow } from "./mlflow-client.ts";
import { proxyPath } from "./mlflow-homes.ts";
import { createMlflowRegistryMirror } from "./mlflow-registry-mirror.ts";
import { createMlflowTrackerMirror } from "./mlflow-tracker-mirror.ts";

const uri = process.env.ESPALIER_TEST_MLFLOW_URI;

interface Pair {
  key: string;
  value: string;
}
const record = (pairs: Pair[] | undefined): Record<string, string> =>
  Object.fromEntries((pairs ?? []).map(({ key, value }) => [key, value]));

if (uri === undefined) {
  it.skip("MLflow mirrors (skipped: needs a server; `npm run test:servers -- mlflow` starts one)", () => undefined);
} else {
  const api = connectMlflow({ uri });
  // biome-ignore lint/suspicious/noExplicitAny: answers of a server, read by hand.
  type Answer = any;
  const get = (path: string, query: Record<string, string>): Promise<Answer> => api.get(path, query);

  async function filesBelow(root: string, path = ""): Promise<Record<string, string>> {
    const answer = await get("mlflow-artifacts/artifacts", { path: path === "" ? root : `${root}/${path}` });
    const found: Record<string, string> = {};
    for (const entry of answer.files ?? []) {
      const whole = path === "" ? entry.path : `${path}/${entry.path}`;
      if (entry.is_dir) Object.assign(found, await filesBelow(root, whole));
      else {
        const url = `/api/2.0/mlflow-artifacts/artifacts/${`${root}/${whole}`.split("/").map(encodeURIComponent).join("/")}`;
        const chunks: Uint8Array[] = [];
        for await (const chunk of (await api.download(url)).body) chunks.push(chunk);
        found[whole] = Buffer.concat(chunks).toString();
      }
    }
    return found;
  }

  trackerMirrorConformance(
    { describe, it, expect },
    {
      // Known before the suite runs: the server's version decides what it can have.
      skips: process.env.ESPALIER_TEST_MLFLOW_VERSION?.startsWith("2.")
        ? { "makes a logged model once, and links it to its run once": "MLflow 2 has no logged models" }
        : {},
      async open() {
        const options = { project: randomUUID(), experimentPrefix: `${randomUUID()} ` };
        return {
          mirror: createMlflowTrackerMirror(api, options),
          again: () => createMlflowTrackerMirror(connectMlflow({ uri }), options),
          experiment: async (id) => {
            const { experiment } = await get("mlflow/experiments/get", { experiment_id: id });
            return { name: experiment.name, lifecycle: experiment.lifecycle_stage, tags: record(experiment.tags) };
          },
          run: async (id) => {
            const { run } = await get("mlflow/runs/get", { run_id: id });
            return {
              name: run.info.run_name,
              status: run.info.status,
              lifecycle: run.info.lifecycle_stage,
              endTime: run.info.end_time,
              params: record(run.data.params),
              tags: record(run.data.tags),
              inputs: (run.inputs?.dataset_inputs ?? []).map(
                ({ dataset }: Answer) => `${dataset.name} ${dataset.digest}`,
              ),
              models: (run.outputs?.model_outputs ?? []).map((one: Answer) => one.model_id),
              points: async (key) => {
                const query = { run_id: id, metric_key: key, max_results: "25000" };
                const points: Answer[] = (await get("mlflow/metrics/get-history", query)).metrics ?? [];
                return points.map(
                  (point): TrackedPoint => ({
                    key,
                    value: Number(point.value),
                    step: point.step ?? 0,
                    timestamp: point.timestamp,
                  }),
                );
              },
              files: () => filesBelow(proxyPath(run.info.artifact_uri)),
            };
          },
          close: async () => undefined,
        };
      },
    },
  );

  registryMirrorConformance(
    { describe, it, expect },
    {
      async open() {
        const options = { project: randomUUID() };
        return {
          mirror: createMlflowRegistryMirror(api, options),
          again: () => createMlflowRegistryMirror(connectMlflow({ uri }), options),
          name: `model-${randomUUID()}`,
          model: async (name) => {
            const answer = await get("mlflow/registered-models/get", { name }).catch(() => undefined);
            if (answer === undefined) return undefined;
            const model = answer.registered_model;
            const versions = await get("mlflow/model-versions/search", { filter: `name = '${name}'` });
            return {
              description: model.description ?? "",
              tags: record(model.tags),
              aliases: Object.fromEntries((model.aliases ?? []).map((one: Answer) => [one.alias, String(one.version)])),
              versions: await Promise.all(
                (versions.model_versions ?? []).map(async (one: Answer) => ({
                  version: one.version,
                  description: one.description ?? "",
                  stage: one.current_stage,
                  tags: record(one.tags),
                  files: await filesBelow(proxyPath(one.source)),
                })),
              ),
            };
          },
          close: async () => undefined,
        };
      },
    },
  );

  describe("against the real server", () => {
    it("says what is wrong with an address", async () => {
      const mirror = createMlflowTrackerMirror(connectMlflow({ uri: "http://127.0.0.1:1" }), { project: "p" });
      await expect(mirror.check()).rejects.toMatchObject({ code: "UNREACHABLE" });
      expect(() => connectMlflow({ uri: "http://user:secret@host" })).toThrow(/without credentials/);
      const elsewhere = createMlflowTrackerMirror(connectMlflow({ uri: `${uri}/nothing/here` }), { project: "p" });
      await expect(elsewhere.check()).rejects.toMatchObject({ code: "UNSUPPORTED" });
    });

    it("does not take over another project's experiment", async () => {
      const experimentPrefix = `${randomUUID()} `;
      const experiment = { id: "1", name: "shared", lifecycle: "active", tags: {} } as const;
      await createMlflowTrackerMirror(api, { project: "one", experimentPrefix }).putExperiment(experiment);
      const other = createMlflowTrackerMirror(api, { project: "two", experimentPrefix });
      await expect(other.putExperiment(experiment)).rejects.toMatchObject({ code: "CONFLICT" });
    });
  });
}
