import type { Json } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { StoredJudgement } from "../monitoring/judge-monitor.ts";
import { dayOf } from "../monitoring/windows.ts";
import { gatherFacts } from "./facts.ts";
import { gateStory, retrainingStory } from "./gate-story.ts";
import { lineageStory } from "./lineage-story.ts";
import { milestoneStory, validationSamples } from "./milestones.ts";
import type { MonitorStory, Retraining, Story } from "./story.ts";
import { plural } from "./words.ts";

/** Gathers what the record says about the project. Nothing is kept, so the report is as true as the record. */
export async function gatherStory(plane: ControlPlane): Promise<Story> {
  const facts = await gatherFacts(plane);
  const gates = gateStory(facts);
  const retrainings = retrainingStory(facts);
  const monitors = await monitorStory(plane);
  return {
    project: plane.project.name,
    gatheredAt: new Date().toISOString(),
    headline: headline(monitors, retrainings),
    milestones: await milestoneStory(plane, { facts, gates, monitors, retrainings }),
    samples: validationSamples(facts),
    monitors,
    retrainings,
    gates,
    lineage: await lineageStory(plane, facts),
  };
}

async function monitorStory({ record }: ControlPlane): Promise<MonitorStory[]> {
  const monitors: MonitorStory[] = [];
  for (const monitor of (await record.monitors.list({ limit: 50 })).items) {
    const { items } = await record.monitors.reports(monitor.name, { limit: 200 });
    const spec = monitor.spec as { kind?: string; thresholds?: Json };
    monitors.push({
      name: monitor.name,
      kind: spec.kind ?? "",
      endpoint: monitor.endpoint,
      thresholds: spec.thresholds ?? {},
      windows: items.toReversed().map((row) => {
        const judgement = row.report as unknown as StoredJudgement;
        return {
          from: dayOf(row.windowStart),
          to: dayOf(row.windowEnd),
          status: row.status,
          summary: judgement.summary,
          ...(judgement.action === undefined ? {} : { action: judgement.action }),
          ...(judgement.served === undefined ? {} : { served: judgement.served }),
          results: judgement.results,
        };
      }),
    });
  }
  return monitors;
}

function headline(monitors: MonitorStory[], retrainings: Retraining[]): string[] {
  const alerts = monitors.flatMap((monitor) => monitor.windows.filter((window) => window.status === "alert"));
  const of = (outcome: Retraining["outcome"]): number => retrainings.filter((one) => one.outcome === outcome).length;
  const drifted = monitors
    .filter((monitor) => monitor.kind === "drift")
    .flatMap((monitor) => monitor.windows.filter((window) => window.status === "alert"));
  return [
    ...(retrainings.length === 0
      ? []
      : [
          `${plural(retrainings.length, "retraining")}: ${of("rolled out")} rolled out, ${of("refused")} refused by the gate, ${of("unchanged")} without a change.`,
        ]),
    ...(monitors.length === 0
      ? []
      : [
          `${plural(alerts.length, "alert")} of ${plural(monitors.length, "monitor")}; ${drifted.length === 0 ? "the inputs did not drift" : `inputs drifted in ${plural(drifted.length, "window")}`}.`,
        ]),
  ];
}
