import type { Part, PartContext } from "./parts.ts";
import { type ClientTask, runClients } from "./python-client.ts";
import { newExperiment, newRun, quantile } from "./requests.ts";
import type { Figure } from "./results.ts";

interface Timed {
  count: number;
  failed: number;
  seconds: number;
  times: number[];
}

/** What MLflow's own client reaches: batches of 1,000 metrics, single metrics, and eight such processes at once. */
export const clientLoad: Part = async (context) => [
  ...(await measure(context, "batch", 1)),
  ...(await measure(context, "single", 1)),
  ...(await measure(context, "batch", 8)),
  ...(await measure(context, "single", 8)),
];

async function measure(
  { target, python, seconds }: PartContext,
  mode: "batch" | "single",
  processes: number,
): Promise<Figure[]> {
  const experimentId = await newExperiment(target.url);
  const tasks: ClientTask[] = [];
  for (let index = 0; index < processes; index += 1) {
    const options = { run_id: await newRun(target.url, experimentId), seconds };
    tasks.push({ python, url: target.url, mode, options, capSeconds: seconds + 120 });
  }
  const results = (await runClients<Timed>(tasks)).filter((one) => one !== undefined);
  const metrics = results.reduce((sum, one) => sum + (one.count * (mode === "batch" ? 1000 : 1)) / one.seconds, 0);
  const failed = results.reduce((sum, one) => sum + one.failed, 0) + (processes - results.length);
  const times = results.flatMap((one) => one.times);
  const who = `${mode === "batch" ? "`log_batch` of 1,000" : "`log_metric`"}, ${processes} process${processes === 1 ? "" : "es"}`;
  return [
    {
      what: who,
      unit: "metrics/s",
      better: "more",
      value: metrics,
      ...(failed === 0 ? {} : { note: `${failed} failed` }),
    },
    { what: `${who}, p99`, unit: "ms", better: "less", value: quantile(times, 0.99) * 1000 },
  ];
}
