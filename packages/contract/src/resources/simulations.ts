import { jsonSchema, nameSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, dateSchema, defineRoutes, emptyBody, instantSchema, pageOf, pageQuery } from "../route.ts";

export const simulationSchema = z.object({
  id: z.string(),
  endpoint: z.string(),
  state: z.enum(["running", "succeeded", "failed", "cancelled"]),
  from: z.string(),
  to: z.string(),
  /** The simulated day that is replayed now. */
  day: z.string().optional(),
  daysDone: z.number(),
  daysTotal: z.number(),
  rows: z.number(),
  requests: z.number(),
  errors: z.number(),
  startedAt: instantSchema,
  finishedAt: instantSchema.optional(),
  error: z.string().optional(),
  details: jsonSchema.optional(),
});
export type Simulation = z.infer<typeof simulationSchema>;

const identified = z.object({ simulationId: z.string() });

export const simulationRoutes = defineRoutes({
  "simulations.list": {
    method: "GET",
    path: `${apiPrefix}/simulations`,
    role: "viewer",
    kind: "json",
    summary: "Simulations, newest first",
    query: z.object(pageQuery),
    response: pageOf(simulationSchema),
  },
  "simulations.start": {
    method: "POST",
    path: `${apiPrefix}/simulations`,
    role: "editor",
    kind: "json",
    summary: "Replays data as traffic against an endpoint, day by day, labels arriving later",
    body: z.strictObject({
      endpoint: nameSchema,
      from: dateSchema.optional(),
      to: dateSchema.optional(),
      /** Project path of a simulation file; left out means the project's only one. */
      config: z.string().optional(),
      seed: z.int().optional(),
      /** Further settings of the simulation file, overridden. */
      settings: z.record(z.string(), jsonSchema).optional(),
    }),
    response: simulationSchema,
  },
  "simulations.get": {
    method: "GET",
    path: `${apiPrefix}/simulations/:simulationId`,
    role: "viewer",
    kind: "json",
    summary: "How far a simulation is",
    params: identified,
    response: simulationSchema,
  },
  "simulations.events": {
    method: "GET",
    path: `${apiPrefix}/simulations/:simulationId/events`,
    role: "viewer",
    kind: "events",
    summary: "The simulation's progress as it happens",
    params: identified,
    response: simulationSchema,
  },
  "simulations.cancel": {
    method: "POST",
    path: `${apiPrefix}/simulations/:simulationId/cancel`,
    role: "editor",
    kind: "json",
    summary: "Stops after the simulated day",
    params: identified,
    body: emptyBody,
    response: simulationSchema,
  },
});
