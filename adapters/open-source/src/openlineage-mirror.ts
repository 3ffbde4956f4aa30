import type { LineageMirror, ToolHost, ToolManifest } from "@espalier/core";
import { z } from "zod";
import { connectTelemetry, refusalOf, telemetryShape } from "./telemetry-client.ts";

export const openlineageConfigSchema = z.strictObject({
  ...telemetryShape,
  url: telemetryShape.url.describe("Address of the service, such as a Marquez."),
  path: z.string().default("api/v1/lineage").describe("Where below it events are posted."),
});
export type OpenlineageConfig = z.infer<typeof openlineageConfigSchema>;

export const openlineageManifest: ToolManifest = {
  tool: "openlineage",
  provider: "open-source",
  component: "lineage",
  milestone: 12,
  summary: "OpenLineage events of runs and steps, posted to any service that takes them",
  capabilities: ["mirror"],
  skills: ["linux"],
  ownership: {
    place: "own servers",
    setUpHours: [1, 6],
    hoursAMonth: [0, 3],
    dollarsAMonth: [20, 80],
    lockIn: 0,
    wayOut: "a mirror: the record stays here, and the events are a standard's",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  cost: { money: "a server and its database", operations: "one service that takes the events" },
  verified: {
    label: "contract",
    against: "OpenLineage 2-0-2, its JSON Schema and those of the facets",
    live: "not yet run against the live service",
  },
  losses: [
    "branches of a mapped step and trials of a search are told as the one step that they are",
    "a step that was skipped is not told of",
    "endpoints, captured predictions and monitors are not told of",
    "columns of data sets are not told: a data set is a name and the digest of its content",
    "a run from before the mirror is told of only from its next change on",
  ],
};

/** By the HTTP transport of OpenLineage (openlineage.io/docs/client): one event a request, any answer of success will do. */
export function createOpenlineageMirror(config: OpenlineageConfig, host: Pick<ToolHost, "secret">): LineageMirror {
  const address = `${config.url.replace(/\/+$/, "")}/${config.path.replace(/^\/+/, "")}`;
  const post = connectTelemetry(address, config, "lineage", host);
  return {
    async tell(events, context) {
      const refused: string[] = [];
      for (const event of events) {
        try {
          await post(JSON.stringify(event), context);
        } catch (error) {
          refused.push(
            `the event ${String(event["eventType"])} of ${JSON.stringify(event["job"])}: ${refusalOf(error)}`,
          );
        }
      }
      return { refused };
    },
  };
}
