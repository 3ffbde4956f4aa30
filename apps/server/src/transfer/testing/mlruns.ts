import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A file store as MLflow writes it: two experiments, one in the trash; nested runs; odd metrics; a registered model with its content. */
export const mlruns: Readonly<Record<string, string>> = {
  "1/meta.yaml":
    "artifact_location: file:///old/place/mlruns/1\nexperiment_id: '1'\nlifecycle_stage: active\nname: flights\ncreation_time: 1700000000000\nlast_update_time: 1700000000001\n",
  "1/tags/team": "delays",
  "1/aaaa/meta.yaml":
    "artifact_uri: file:///old/place/mlruns/1/aaaa/artifacts\nend_time: 1700000009000\nexperiment_id: '1'\nlifecycle_stage: active\nrun_id: aaaa\nrun_name: parent\nstart_time: 1700000001000\nstatus: 3\nuser_id: ada\n",
  "1/aaaa/params/note": "two\nlines é",
  "1/aaaa/tags/mlflow.runName": "parent",
  "1/aaaa/metrics/loss":
    "1700000001000 1.0 0\n1700000001001 0.5 1\n1700000001001 0.5 1\n1700000001002 nan 2\n1700000001003 inf 3\n",
  "1/aaaa/metrics/deep/key": "5 1.5 1152921504606846977\n4 1.5 0\n5 1.5 1152921504606846977\n",
  "1/aaaa/inputs/i1/meta.yaml":
    "destination_id: d1\ndestination_type: RUN\nsource_id: d1\nsource_type: DATASET\ntags: {mlflow.data.context: training}\n",
  "1/datasets/d1/meta.yaml":
    "digest: abc\nname: train\nprofile: null\nschema: null\nsource: '{}'\nsource_type: local\n",
  "1/aaaa/artifacts/model/MLmodel": "flavors: {}\n",
  "1/aaaa/artifacts/model/data/weights.bin": "weights",
  "1/aaaa/artifacts/a b%25.txt": "odd name",
  "1/bbbb/meta.yaml":
    "artifact_uri: file:///old/place/mlruns/1/bbbb/artifacts\nexperiment_id: '1'\nlifecycle_stage: deleted\nrun_id: bbbb\nrun_name: child\nstart_time: 1700000002000\nstatus: 1\nuser_id: ada\n",
  "1/bbbb/tags/mlflow.parentRunId": "aaaa",
  ".trash/2/meta.yaml": "experiment_id: '2'\nlifecycle_stage: deleted\nname: gone\n",
  "models/delay/meta.yaml": "name: delay\ndescription: predicts\ncreation_timestamp: 1\nlast_updated_timestamp: 2\n",
  "models/delay/tags/owner": "ml",
  "models/delay/aliases/champion": "3",
  "models/delay/version-3/meta.yaml":
    "name: delay\nversion: 3\ncurrent_stage: Production\nsource: file:///old/place/mlruns/1/aaaa/artifacts/model\nrun_id: aaaa\nstatus: READY\ncreation_timestamp: 1\nlast_updated_timestamp: 2\ndescription: third\n",
  "models/delay/version-3/tags/checked": "yes",
};

export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
