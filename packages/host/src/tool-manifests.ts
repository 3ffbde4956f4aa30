import type { DescribedTool } from "./all-manifests.ts";
import described from "./tool-manifests.json" with { type: "json" };

/** What `describeTools` told when the file was generated: reading it loads no tool. A test keeps it current. */
export const toolManifests = described as unknown as readonly DescribedTool[];
