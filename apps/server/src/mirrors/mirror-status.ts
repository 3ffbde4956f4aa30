import type { MirrorStatus } from "@espalier/contract";
import { type MirrorComponent, mirrorComponents, type ResolvedStack } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";

/** Names of the outboxes: one a mirror of each stack, for another stack's server knows other things. */
export const mirrorName = (stack: string, component: MirrorComponent): string => `${stack}/${component}`;

export function mirrorsOf(stack: ResolvedStack | undefined): MirrorComponent[] {
  return mirrorComponents.filter((component) => stack?.[component] !== undefined);
}

/** The mirrors of the open stack, and how far each is. */
export async function mirrorStatuses({ record, project, stack }: ControlPlane): Promise<MirrorStatus[]> {
  return Promise.all(
    mirrorsOf(project.stacks[stack.name]).map(async (component) => {
      const { deliveredAt, dueAt, ...status } = await record.mirrors.status(mirrorName(stack.name, component));
      return {
        ...status,
        component,
        ...(deliveredAt === undefined ? {} : { lastDeliveredAt: deliveredAt }),
        // Without a failure it is a lease, and no wait.
        ...(dueAt === undefined || status.tries === 0 ? {} : { dueAt }),
      };
    }),
  );
}
