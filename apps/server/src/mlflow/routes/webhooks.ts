import { randomUUID } from "node:crypto";
import { EspalierError, isEspalierError, Secret } from "@espalier/core";
import type { ControlPlane } from "../../control-plane.ts";
import { webhookBody } from "../../db/queries/registry/registry-events.ts";
import type { WebhookRow } from "../../db/queries/registry/webhooks.ts";
import { asFields, optionalCount, optionalText, requiredText } from "../fields.ts";
import { invalidParameter } from "../limits.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty, type MlflowCall, type MlflowRoute } from "../mlflow-route.ts";
import { kindOf, send } from "../webhooks/deliver-webhook.ts";
import { exampleData } from "../webhooks/example-data.ts";
import { RefusedAddress } from "../webhooks/public-address.ts";
import {
  webhookDescription,
  webhookEvent,
  webhookEvents,
  webhookName,
  webhookSecret,
  webhookStatus,
  webhookUrl,
} from "../webhooks/webhook-fields.ts";

const mostAPage = 1000;

/** Webhooks of registry events. They reach out of this machine, and their addresses are often secrets: a role is needed, also to read. */
export function webhooksRoutes(plane: ControlPlane): MlflowRoute[] {
  const { webhooks } = plane.record.registry;
  const secrets = secretsOf(plane);
  return [
    {
      method: "POST",
      path: "/mlflow/webhooks",
      api: "2.0",
      access: "write",
      handle: forEditors(async ({ fields }) => {
        const id = randomUUID();
        const name = webhookName(requiredText(fields, "name"));
        const given = requiredText(fields, "url");
        const events = webhookEvents(fields) ?? invalidParameter("Webhook events cannot be empty");
        const [description, secret, status] = [
          webhookDescription(fields),
          webhookSecret(fields),
          webhookStatus(fields),
        ];
        const url = await webhookUrl(given);
        if (secret !== undefined) await secrets.put(id, secret);
        const webhook = await webhooks.create({
          id,
          name,
          url,
          events,
          ...(description === undefined || description === "" ? {} : { description }),
          ...(status === undefined ? {} : { status }),
          ...(secret === undefined ? {} : { secretName: secretName(id) }),
        });
        return { webhook: webhookDocument(webhook) };
      }),
    },
    {
      method: "GET",
      path: "/mlflow/webhooks",
      api: "2.0",
      access: "write",
      audited: false,
      handle: forEditors(async ({ fields }) => {
        const given = optionalCount(fields, "max_results") ?? 0;
        const limit = given === 0 ? 100 : given;
        if (limit < 1 || limit > mostAPage) invalidParameter(`max_results must be between 1 and ${mostAPage}.`);
        const cursor = optionalText(fields, "page_token");
        const found = await webhooks.list({ limit, cursor: cursor === "" ? undefined : cursor });
        return {
          ...(found.items.length === 0 ? {} : { webhooks: found.items.map(webhookDocument) }),
          ...(found.next === undefined ? {} : { next_page_token: found.next }),
        };
      }),
    },
    {
      method: "GET",
      path: "/mlflow/webhooks/:webhook_id",
      api: "2.0",
      access: "write",
      audited: false,
      handle: forEditors(async ({ fields }) => ({ webhook: webhookDocument(await requireWebhook(plane, fields)) })),
    },
    {
      method: "PATCH",
      path: "/mlflow/webhooks/:webhook_id",
      api: "2.0",
      access: "write",
      handle: forEditors(async ({ fields }) => {
        const { id } = await requireWebhook(plane, fields);
        const [name, url] = [optionalText(fields, "name") ?? "", optionalText(fields, "url") ?? ""];
        const [description, secret] = [webhookDescription(fields), webhookSecret(fields)];
        const [events, status] = [webhookEvents(fields), webhookStatus(fields)];
        const change = {
          ...(name === "" ? {} : { name: webhookName(name) }),
          ...(url === "" ? {} : { url: await webhookUrl(url) }),
          ...(description === undefined ? {} : { description }),
          ...(events === undefined ? {} : { events }),
          ...(status === undefined ? {} : { status }),
          ...(secret === undefined ? {} : { secretName: secretName(id) }),
        };
        if (secret !== undefined) await secrets.put(id, secret);
        return { webhook: webhookDocument(await webhooks.update(id, change)) };
      }),
    },
    {
      method: "DELETE",
      path: "/mlflow/webhooks/:webhook_id",
      api: "2.0",
      access: "write",
      handle: forEditors(async ({ fields }) => {
        const gone = await webhooks.delete(requiredText(fields, "webhook_id"));
        if (gone.secretName !== undefined) await secrets.delete(gone.secretName);
        return empty;
      }),
    },
    {
      method: "POST",
      path: "/mlflow/webhooks/:webhook_id/test",
      api: "2.0",
      access: "write",
      handle: forEditors(async ({ fields, signal }) => {
        const webhook = await requireWebhook(plane, fields);
        const wanted = fields["event"] ?? undefined;
        const event = wanted === undefined ? webhook.events[0] : webhookEvent(asFields(wanted, "event"));
        if (event === undefined) return invalidParameter("Webhook events cannot be empty");
        return {
          result: await testWebhook(plane, webhook, JSON.stringify(webhookBody(event, exampleData(event))), signal),
        };
      }),
    },
  ];
}

function forEditors(handle: MlflowRoute["handle"]): MlflowRoute["handle"] {
  return (call: MlflowCall) => {
    // The policy of the route has seen to the role; what it also lets in are steps and processes without a token.
    if (call.principal.grant.kind === "role") return handle(call);
    throw mlflowError(
      "PERMISSION_DENIED",
      "Webhooks need a token with the role editor (MLFLOW_TRACKING_TOKEN): they reach out of this machine",
    );
  };
}

async function requireWebhook({ record }: ControlPlane, fields: MlflowCall["fields"]): Promise<WebhookRow> {
  const id = requiredText(fields, "webhook_id");
  const webhook = await record.registry.webhooks.get(id);
  if (webhook !== undefined) return webhook;
  throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Webhook with ID ${id.slice(0, 100)} not found.`);
}

/** Never answers the secret, nor whether there is one. */
function webhookDocument(webhook: WebhookRow): object {
  return {
    webhook_id: webhook.id,
    name: webhook.name,
    url: webhook.url,
    ...(webhook.description === undefined ? {} : { description: webhook.description }),
    events: webhook.events.map((event) => {
      const [entity = "", action = ""] = event.toUpperCase().split(".");
      return { entity, action };
    }),
    status: webhook.status,
    creation_timestamp: webhook.createdAt,
    last_updated_timestamp: webhook.updatedAt,
  };
}

async function testWebhook(
  plane: ControlPlane,
  webhook: WebhookRow,
  body: string,
  signal: AbortSignal,
): Promise<object> {
  try {
    const answer = await send(plane, webhook, randomUUID(), body, signal);
    return { success: answer.status < 400, response_status: answer.status, response_body: answer.body };
  } catch (error) {
    if (signal.aborted) throw error;
    const isTold = error instanceof RefusedAddress || isEspalierError(error);
    const reason = isTold ? error.message : kindOf(error);
    return { success: false, error_message: `Failed to test webhook: ${reason}` };
  }
}

const secretName = (id: string): string => `mlflow_webhook_${id.replaceAll("-", "_")}`;

function secretsOf({ stack }: ControlPlane): {
  put(id: string, secret: string): Promise<void>;
  delete(name: string): Promise<void>;
} {
  return {
    put: async (id, secret) => {
      if (stack.secrets.put !== undefined) return stack.secrets.put(secretName(id), new Secret(secret));
      throw new EspalierError("UNSUPPORTED", `The secret store of the stack ${stack.name} can not be written to`, {
        at: `stacks.${stack.name}.secrets`,
        hint: "A webhook with a secret needs one that can.",
      });
    },
    delete: async (name) => stack.secrets.delete?.(name),
  };
}
