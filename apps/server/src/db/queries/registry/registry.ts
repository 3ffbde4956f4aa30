import type { RecordDatabase } from "../../database.ts";
import { createRegistryVersionQueries, type RegistryVersionQueries } from "./model-versions.ts";
import { createRegisteredModelQueries, type RegisteredModelQueries } from "./registered-models.ts";
import { createRegistrySearch, type RegistrySearchQueries } from "./search-registry.ts";
import { createSourceQueries, type SourceQueries } from "./sources.ts";
import { createWebhookQueries, type WebhookQueries } from "./webhooks.ts";

/**
 * The registry as MLflow's clients know it: the same tables as `models` and `aliases`, which pipelines and the command line use.
 */
export interface RegistryQueries {
  models: RegisteredModelQueries;
  versions: RegistryVersionQueries;
  search: RegistrySearchQueries;
  sources: SourceQueries;
  webhooks: WebhookQueries;
}

export function createRegistryQueries(database: RecordDatabase): RegistryQueries {
  return {
    models: createRegisteredModelQueries(database),
    versions: createRegistryVersionQueries(database),
    search: createRegistrySearch(database),
    sources: createSourceQueries(database),
    webhooks: createWebhookQueries(database),
  };
}
