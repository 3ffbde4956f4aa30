import type { Part } from "./parts.ts";
import { runClients } from "./python-client.ts";
import { newExperiment } from "./requests.ts";

/** `load_model("runs:/<id>/model")` looks first where MLflow 3 keeps no model; a server that answers 500 then is asked again and again. */
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
