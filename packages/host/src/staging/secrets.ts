import { EspalierError, type SecretStore, type WorkOrder } from "@espalier/core";
import { secretBytes } from "./mask.ts";

/** Values of the secrets that a step declares, by name. */
export async function revealSecrets(store: SecretStore, order: WorkOrder): Promise<Record<string, string>> {
  const revealed: Record<string, string> = {};
  for (const name of order.secrets) {
    const secret = await store.get(name);
    if (!secret) {
      throw new EspalierError("NOT_FOUND", `There is no secret ${name}, which the step ${order.step} declares`, {
        at: `steps.${order.step}.secrets`,
        hint: `Set it with \`espalier secret set ${name}\`, or as the environment variable ${name} of the control plane.`,
      });
    }
    revealed[name] = secret.reveal();
  }
  return revealed;
}

/** What must be masked of those that are still in the store. */
export async function knownSecrets(store: SecretStore, names: readonly string[]): Promise<Buffer[]> {
  const found = await Promise.all(names.map((name) => store.get(name)));
  return secretBytes(found.flatMap((secret) => (secret === undefined ? [] : [secret.reveal()])));
}
