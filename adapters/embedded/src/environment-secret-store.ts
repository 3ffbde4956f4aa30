import { EspalierError, Secret, type SecretStore, type ToolManifest } from "@espalier/core";
import { z } from "zod";

export const environmentSecretsConfigSchema = z.strictObject({});

export const environmentSecretsManifest: ToolManifest = {
  tool: "environment",
  provider: "embedded",
  component: "secrets",
  milestone: 0,
  summary: "Secrets from environment variables, `ESPALIER_SECRET_<NAME>` or `<NAME>`; read-only",
  capabilities: [],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    lockIn: 0,
    wayOut: "variables of the environment",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "none", operations: "whoever starts the control plane sets the variables" },
  verified: { label: "real", against: "Node.js 24", live: "not applicable" },
  losses: ["Can not be written, listed or deleted from Espalier."],
};

/** Names of secrets become environment variables of steps, and file names. */
export function checkedSecretName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) {
    throw new EspalierError("INVALID_INPUT", `${JSON.stringify(name)} can not be the name of a secret`, {
      hint: "Use letters, digits and '_', not starting with a digit.",
    });
  }
  return name;
}

/** `ESPALIER_SECRET_<NAME>` wins, so that a secret can differ from what a variable of the same name means to other programs. */
export function createEnvironmentSecretStore(
  variables: Readonly<Record<string, string | undefined>> = process.env,
): SecretStore {
  return {
    async get(name) {
      const value = variables[`ESPALIER_SECRET_${checkedSecretName(name)}`] ?? variables[name];
      return value === undefined ? undefined : new Secret(value);
    },
  };
}
