import { installPackages } from "./packages.ts";

/** Installs Debian's Prometheus and Alertmanager with their checkers; the reason when they can not be had. Tests start them with what they generated. */
export function findPrometheus(): { skipped: string } | Record<never, never> {
  const names = ["prometheus", "promtool", "prometheus-alertmanager", "amtool"];
  const reason = installPackages(names, ["prometheus", "prometheus-alertmanager"]);
  return reason === undefined ? {} : { skipped: reason };
}
