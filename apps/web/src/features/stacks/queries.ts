import { queryOptions } from "@tanstack/react-query";
import { client } from "../../api/client.ts";

export const stacksQuery = () =>
  queryOptions({ queryKey: ["project.stacks"], queryFn: () => client.call("project.stacks") });

export const movePlanQuery = (from: string, to: string) =>
  queryOptions({
    queryKey: ["moves.plan", from, to],
    queryFn: () => client.call("moves.plan", { query: { from, to } }),
    enabled: from !== to,
  });

export const doctorQuery = (stack: string) =>
  queryOptions({
    queryKey: ["doctor.check", stack],
    queryFn: () => client.call("doctor.check", { query: { deep: false, stack } }),
    staleTime: 60_000,
  });
