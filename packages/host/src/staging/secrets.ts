import { EspalierError, type SecretStore, type WorkOrder } from "@espalier/core";
import type { AttemptFolder } from "./attempt-folder.ts";
import { secretBytes } from "./mask.ts";
import { readToken } from "./token.ts";

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

/** What must be masked in files of an attempt: secrets that are still in the store, and its own token. */
export async function knownSecrets(
  store: SecretStore,
  names: readonly string[],
  folder: AttemptFolder,
): Promise<Buffer[]> {
  const found = await Promise.all(names.map((name) => store.get(name)));
  const values = found.flatMap((secret) => (secret === undefined ? [] : [secret.reveal()]));
  const token = await readToken(folder);
  return secretBytes(token === undefined ? values : [...values, token]);
}
