import { request as requestPlain } from "node:http";
import { request } from "node:https";
import { type CallContext, EspalierError } from "@espalier/core";
import { z } from "zod";
import type { KubernetesConfig } from "./kubernetes-config.ts";
import { type KubernetesAccess, kubernetesAccess } from "./kubernetes-credentials.ts";
import { fromKubernetesAnswer, fromKubernetesRequestError } from "./kubernetes-errors.ts";

/** The REST API of a cluster. Paths are below the namespace: `batch/v1 jobs`. */
export interface KubernetesApi {
  /** The object as it was made; undefined when one of this name is there already. */
  create(group: string, kind: string, object: object, context?: CallContext): Promise<KubernetesObject | undefined>;
  /** Undefined when there is none. */
  read(group: string, kind: string, name: string, context?: CallContext): Promise<KubernetesObject | undefined>;
  list(
    group: string,
    kind: string,
    query: Readonly<Record<string, string>>,
    context?: CallContext,
  ): Promise<KubernetesObject[]>;
  /** A JSON merge patch (RFC 7396); what is gone is success. */
  patch(group: string, kind: string, name: string, patch: object, context?: CallContext): Promise<void>;
  remove(group: string, kind: string, name: string, context?: CallContext): Promise<void>;
  /** Text of the container of a pod, at most 1 MiB; empty while there is none, and once it is gone. */
  podLog(name: string, context?: CallContext): Promise<string>;
}

const objectSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().optional(),
    creationTimestamp: z.string().nullish(),
    /** When its grace period ends, of what was told to go. */
    deletionTimestamp: z.string().nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
});
export type KubernetesObject = z.infer<typeof objectSchema>;

const requestMilliseconds = 60_000;
const largestLogBytes = 1024 * 1024;

interface Sent {
  method: string;
  path: string;
  what: string;
  body?: object;
  contentType?: string;
  context?: CallContext | undefined;
}

/** Reaches no network before the first call. */
export function connectKubernetes(config: KubernetesConfig): KubernetesApi {
  async function send(sent: Sent): Promise<{ status: number; text: string }> {
    const access = await kubernetesAccess(config);
    const timeout = AbortSignal.timeout(requestMilliseconds);
    const signal = sent.context?.signal ? AbortSignal.any([sent.context.signal, timeout]) : timeout;
    try {
      return await exchange(access, sent, signal);
    } catch (error) {
      throw fromKubernetesRequestError(error, access.server, sent.what);
    }
  }
  const pathOf = async (group: string, kind: string): Promise<string> => {
    const { namespace } = await kubernetesAccess(config);
    const root = group === "v1" ? "/api/v1" : `/apis/${group}`;
    return `${root}/namespaces/${namespace}/${kind}`;
  };
  const objectOf = (text: string, what: string): KubernetesObject => {
    const parsed = objectSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw new EspalierError("UNAVAILABLE", `Kubernetes, ${what}: the answer is no object: ${text.slice(0, 200)}`);
  };

  return {
    async create(group, kind, object, context) {
      const what = `creating ${kind} ${(object as KubernetesObject).metadata.name}`;
      const path = await pathOf(group, kind);
      const { status, text } = await send({ method: "POST", path, what, body: object, context });
      if (status === 409 && /AlreadyExists/.test(text)) return undefined;
      if (status !== 201 && status !== 200) throw fromKubernetesAnswer(status, text, what);
      return objectOf(text, what);
    },
    async read(group, kind, name, context) {
      const what = `reading ${kind} ${name}`;
      const path = `${await pathOf(group, kind)}/${name}`;
      const { status, text } = await send({ method: "GET", path, what, context });
      if (status === 404) return undefined;
      if (status !== 200) throw fromKubernetesAnswer(status, text, what);
      return objectOf(text, what);
    },
    async list(group, kind, query, context) {
      const what = `listing ${kind}`;
      const path = `${await pathOf(group, kind)}?${new URLSearchParams({ limit: "500", ...query })}`;
      const { status, text } = await send({ method: "GET", path, what, context });
      if (status !== 200) throw fromKubernetesAnswer(status, text, what);
      return z.looseObject({ items: z.array(objectSchema) }).parse(JSON.parse(text)).items;
    },
    async patch(group, kind, name, patch, context) {
      const what = `changing ${kind} ${name}`;
      const path = `${await pathOf(group, kind)}/${name}`;
      const contentType = "application/merge-patch+json";
      const { status, text } = await send({ method: "PATCH", path, what, body: patch, contentType, context });
      if (status !== 200 && status !== 404) throw fromKubernetesAnswer(status, text, what);
    },
    async remove(group, kind, name, context) {
      const what = `deleting ${kind} ${name}`;
      const path = `${await pathOf(group, kind)}/${name}?propagationPolicy=Background`;
      const { status, text } = await send({ method: "DELETE", path, what, context });
      if (status >= 300 && status !== 404) throw fromKubernetesAnswer(status, text, what);
    },
    async podLog(name, context) {
      const what = `reading the log of pod ${name}`;
      const path = `${await pathOf("v1", "pods")}/${name}/log?limitBytes=${largestLogBytes}`;
      const { status, text } = await send({ method: "GET", path, what, context });
      // 400: its container has not begun.
      if (status === 400 || status === 404) return "";
      if (status !== 200) throw fromKubernetesAnswer(status, text, what);
      return text;
    },
  };
}

function exchange(
  access: KubernetesAccess,
  { method, path, body, contentType = "application/json" }: Sent,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const options = {
    method,
    signal,
    rejectUnauthorized: access.verifies,
    ...(access.authority === undefined ? {} : { ca: access.authority }),
    ...(access.certificate === undefined ? {} : { cert: access.certificate, key: access.key }),
    headers: {
      accept: "application/json",
      ...(access.token === undefined ? {} : { authorization: `Bearer ${access.token}` }),
      ...(bytes === undefined ? {} : { "content-type": contentType, "content-length": bytes.length }),
    },
  };
  return new Promise((resolve, reject) => {
    const open = access.server.startsWith("http:") ? requestPlain : request;
    const sent = open(`${access.server}${path}`, options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", (error) => reject(signal.aborted ? signal.reason : error));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    sent.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    sent.end(bytes);
  });
}
