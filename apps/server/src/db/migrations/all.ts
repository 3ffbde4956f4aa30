import { engineTables } from "./0001-engine.ts";
import { operationsTables } from "./0001-operations.ts";
import { registryTables } from "./0001-registry.ts";
import { trackingTables } from "./0001-tracking.ts";
import type { Migration } from "./migration.ts";

/** In order. A migration that has been released is never edited; a change is a new one. */
export const migrations: readonly Migration[] = [
  {
    version: 1,
    name: "first",
    statements: (types) => [
      ...trackingTables(types),
      ...engineTables(types),
      ...registryTables(types),
      ...operationsTables(types),
    ],
  },
];
