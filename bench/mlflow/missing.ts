import type { Part } from "./parts.ts";
import { runClients } from "./python-client.ts";
import { newExperiment } from "./requests.ts";

/** `load_model("runs:/<id>/model")`: where a missing file is answered with 500, as by MLflow's own server before 3.17, it takes minutes. */
export const missing: Part = async ({ target, python }) => {
  const capSeconds = 400;
  const options = { experiment_id: await newExperiment(target.url) };
  const [result] = await runClients<{ seconds: number }>([
    { python, url: target.url, mode: "load-model", options, capSeconds },
  ]);
  const what = '`load_model("runs:/<id>/model")`';
  return [
    result === undefined
      ? { what, unit: "s", better: "less", value: capSeconds, note: "given up" }
      : { what, unit: "s", better: "less", value: result.seconds },
  ];
};
