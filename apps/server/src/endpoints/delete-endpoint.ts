import type { ControlPlane } from "../control-plane.ts";
import { exclusively } from "../deployments/exclusively.ts";

/** Stops serving; the history stays. What espalier.yaml declares is forgotten until it is applied again. NOT_FOUND. */
export async function deleteEndpoint(plane: ControlPlane, name: string, by: string, reason = "deleted"): Promise<void> {
  const { record, stack } = plane;
  await record.declarations.delete(name);
  // Between the two steps a revival would find a wanted endpoint that does not serve, and start it for good.
  await exclusively(plane, name, async () => {
    await stack.deployer.delete(name);
    await record.endpoints.delete(name, { reason, changedBy: by });
  });
}
