import { engineTables } from "./0001-engine.ts";
import { operationsTables } from "./0001-operations.ts";
import { registryTables } from "./0001-registry.ts";
import { trackingTables } from "./0001-tracking.ts";
import { loggedModelTables } from "./0002-logged-models.ts";
import { metricTables } from "./0002-metrics.ts";
import { mirrorTables } from "./0002-mirrors.ts";
import { registryAdditions } from "./0002-registry.ts";
import { searchIndexes } from "./0002-search.ts";
import { tokenIndexes } from "./0002-tokens.ts";
import { traceTables } from "./0002-traces.ts";
import { trackedFileTables } from "./0002-tracked-files.ts";
import { declarationTables } from "./0003-declarations.ts";
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
  {
    version: 2,
    name: "mlflow",
    statements: (types) => [
      ...metricTables(types),
      ...loggedModelTables(types),
      ...registryAdditions(types),
      ...traceTables(types),
      ...trackedFileTables(types),
      ...mirrorTables(types),
      ...searchIndexes(types),
      ...tokenIndexes(),
    ],
  },
  {
    version: 3,
    name: "serving",
    statements: (types) => [...declarationTables(types)],
  },
];
