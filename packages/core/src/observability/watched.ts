/** What operations people are to see of a project: what the generators here make their files of. */
export interface Watched {
  project: string;
  /** `host:port` of the control plane's `/metrics`. */
  controlPlane: string;
  monitors: readonly { name: string; endpoint: string; kind: string; windowDays: number }[];
  /** `address` is `host:port` of the router's `/metrics`; absent: the endpoint is not up. */
  endpoints: readonly { name: string; address?: string }[];
}

/** Names that the generated rules, routes and dashboards agree on. */
export const jobs = { controlPlane: "espalier", endpoints: "espalier-endpoints" } as const;
