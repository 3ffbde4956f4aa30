import { type Fault, jsonPointer } from "@espalier/core";
import type { EndpointConfig } from "./endpoint-schema.ts";
import type { MonitorConfig, MonitorDeclaration } from "./monitor-schema.ts";

/** Monitors with the endpoint that each watches: its own `endpoint:`, or the one endpoint whose `monitors:` names it. */
export function monitoredEndpoints(
  monitors: Readonly<Record<string, MonitorDeclaration>>,
  endpoints: Readonly<Record<string, EndpointConfig>>,
): { monitors: Record<string, MonitorConfig>; faults: Fault[] } {
  const resolved: Record<string, MonitorConfig> = {};
  const faults: Fault[] = [];
  for (const [name, monitor] of Object.entries(monitors)) {
    const named = Object.keys(endpoints).filter((endpoint) => endpoints[endpoint]?.monitors?.includes(name));
    const endpoint = monitor.endpoint ?? named[0];
    if (endpoint !== undefined && (monitor.endpoint !== undefined || named.length === 1)) {
      resolved[name] = { ...monitor, endpoint };
      continue;
    }
    const several = named.length > 1;
    faults.push({
      code: "INVALID_CONFIG",
      check: "monitor-endpoint",
      pointer: jsonPointer(["monitors", name]),
      message: several
        ? `the monitor \`${name}\` is named by the endpoints ${named.join(" and ")}, and watches one`
        : `\`monitors.${name}.endpoint\` is missing`,
      hint: several
        ? "Declare a monitor for each."
        : `Say \`endpoint:\`, or name ${name} under \`monitors:\` of an endpoint.`,
    });
  }
  return { monitors: resolved, faults };
}
