import type { MirrorStatus } from "@espalier/contract";
import type { ControlPlane } from "../control-plane.ts";

/** Names of the outboxes: one a mirror of each stack, for another stack's server knows other things. */
export const mirrorName = (stack: string, component: "tracking" | "registry"): string => `${stack}/${component}`;

/** The mirrors of the open stack, and how far each is. */
export async function mirrorStatuses({ record, project, stack }: ControlPlane): Promise<MirrorStatus[]> {
  const choices = project.stacks[stack.name];
  const components = (["tracking", "registry"] as const).filter((component) => choices?.[component] !== undefined);
  return Promise.all(
    components.map(async (component) => {
      const { deliveredAt, dueAt, ...status } = await record.mirrors.status(mirrorName(stack.name, component));
      return {
        ...status,
        component,
        ...(deliveredAt === undefined ? {} : { lastDeliveredAt: deliveredAt }),
        ...(dueAt === undefined ? {} : { dueAt }),
      };
    }),
  );
}
