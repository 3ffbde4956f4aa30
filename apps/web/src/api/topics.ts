import type { ChangeTopic } from "@espalier/contract";

/** Queries are named after the API's routes: which of them a change may answer otherwise. */
const routesOf: Readonly<Record<ChangeTopic, readonly string[]>> = {
  runs: ["runs", "home", "plan", "approvals"],
  data: ["datasets", "home"],
  models: ["models", "verdicts", "home"],
  endpoints: ["endpoints", "rollouts", "home"],
  monitoring: ["monitors", "simulations", "home"],
  changes: ["approvals", "schedules", "tokens", "audit", "project"],
};

/** Whether a query is to be asked again when these topics changed. */
export function isTouched(queryKey: readonly unknown[], topics: readonly ChangeTopic[]): boolean {
  const [name] = queryKey;
  if (typeof name !== "string") return false;
  const group = name.split(".")[0] ?? "";
  return topics.some((topic) => routesOf[topic]?.includes(group) ?? false);
}
