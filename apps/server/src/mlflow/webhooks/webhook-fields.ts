import { type RegistryEvent, registryEvents } from "../../db/queries/registry/registry-events.ts";
import type { WebhookStatus } from "../../db/queries/registry/webhooks.ts";
import { type Fields, fieldsList, optionalText, requiredText } from "../fields.ts";
import { invalidParameter, requireLength, requireNoNul } from "../limits.ts";
import { addressOf, RefusedAddress } from "./public-address.ts";

const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const mostUrlCharacters = 2048;
const mostDescriptionCharacters = 1000;
const mostSecretCharacters = 1000;
const mostEvents = 100;

export function webhookName(given: string): string {
  if (!namePattern.test(given)) {
    invalidParameter(
      `Webhook name '${given.slice(0, 100)}' is invalid. It must start and end with a letter or digit, be less than 63 characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-).`,
    );
  }
  return given;
}

/** Also looks the host up: an address that could never be reached is told at once. It is checked again at each delivery. */
export async function webhookUrl(given: string): Promise<string> {
  requireLength("url", mostUrlCharacters, given);
  const url = URL.canParse(given) ? new URL(given) : invalidParameter("Invalid Webhook URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    invalidParameter(`Invalid webhook URL scheme: '${url.protocol.slice(0, -1)}'. Allowed schemes are: https.`);
  }
  if (url.username !== "" || url.password !== "") invalidParameter("Webhook URL must not include embedded credentials");
  try {
    await addressOf(url);
  } catch (error) {
    if (error instanceof RefusedAddress) invalidParameter(error.message);
    throw error;
  }
  return url.href;
}

export function webhookDescription(fields: Fields): string | undefined {
  const description = optionalText(fields, "description");
  if (description === undefined) return undefined;
  requireLength("description", mostDescriptionCharacters, description);
  requireNoNul("description", description);
  return description;
}

export function webhookSecret(fields: Fields): string | undefined {
  const secret = optionalText(fields, "secret");
  if (secret === undefined) return undefined;
  requireLength("secret", mostSecretCharacters, secret);
  requireNoNul("secret", secret);
  return secret === "" ? undefined : secret;
}

export function webhookStatus(fields: Fields): WebhookStatus | undefined {
  const status = optionalText(fields, "status");
  if (status === undefined || status === "" || status === "ACTIVE" || status === "DISABLED") {
    return status === "" ? undefined : status;
  }
  return invalidParameter(`Invalid webhook status '${status.slice(0, 50)}'. Valid values are ACTIVE and DISABLED.`);
}

/** `{entity: "MODEL_VERSION", action: "CREATED"}` each; undefined when there are none. */
export function webhookEvents(fields: Fields): RegistryEvent[] | undefined {
  const given = fieldsList(fields, "events");
  if (given.length > mostEvents) invalidParameter(`A webhook may have ${mostEvents} events`);
  return given.length === 0 ? undefined : given.map(webhookEvent);
}

export function webhookEvent(fields: Fields): RegistryEvent {
  const [entity, action] = [requiredText(fields, "entity").toLowerCase(), requiredText(fields, "action").toLowerCase()];
  const event = registryEvents.find((one) => one === `${entity}.${action}`);
  if (event !== undefined) return event;
  const actions = registryEvents.filter((one) => one.startsWith(`${entity}.`)).map((one) => one.split(".")[1]);
  if (actions.length === 0) {
    const entities = [...new Set(registryEvents.map((one) => one.split(".")[0]))].join(", ");
    return invalidParameter(`Invalid webhook entity '${entity.slice(0, 50)}'. Valid entities are: ${entities}`);
  }
  const names = actions.map((one) => `'${one}'`).join(", ");
  return invalidParameter(
    `Invalid action '${action.slice(0, 50)}' for entity '${entity}'. Valid actions are: [${names}]`,
  );
}
