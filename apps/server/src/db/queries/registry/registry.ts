import type { RecordDatabase } from "../../database.ts";
import { createRegistryVersionQueries, type RegistryVersionQueries } from "./model-versions.ts";
import { createRegisteredModelQueries, type RegisteredModelQueries } from "./registered-models.ts";
import { createWebhookQueries, type WebhookQueries } from "./webhooks.ts";

/**
 * The registry as MLflow's clients know it: the same tables as `models` and `aliases`, which pipelines and the command line use.
 */
export interface RegistryQueries {
  models: RegisteredModelQueries;
  versions: RegistryVersionQueries;
  webhooks: WebhookQueries;
}

export function createRegistryQueries(database: RecordDatabase): RegistryQueries {
  return {
    models: createRegisteredModelQueries(database),
    versions: createRegistryVersionQueries(database),
    webhooks: createWebhookQueries(database),
  };
}
