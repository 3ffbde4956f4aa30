import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { EspalierError } from "@espalier/core";
import { parse } from "yaml";
import { z } from "zod";
import type { KubernetesConfig } from "./kubernetes-config.ts";

/** How the API server is reached. */
export interface KubernetesAccess {
  server: string;
  namespace: string;
  /** PEM. */
  authority?: string;
  /** false only where the kubeconfig says so. */
  verifies: boolean;
  token?: string;
  /** PEM. */
  certificate?: string;
  key?: string;
}

const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

const execSchema = z.looseObject({
  command: z.string(),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  apiVersion: z.string(),
});
const named = <Inner extends z.ZodType>(name: string, inner: Inner) =>
  z.array(z.looseObject({ name: z.string(), [name]: inner })).default([]);
const kubeconfigSchema = z.looseObject({
  "current-context": z.string().optional(),
  clusters: named("cluster", z.looseObject({})),
  users: named("user", z.looseObject({})),
  contexts: named("context", z.looseObject({})),
});
const clusterSchema = z.looseObject({
  server: z.string(),
  "certificate-authority": z.string().optional(),
  "certificate-authority-data": z.string().optional(),
  "insecure-skip-tls-verify": z.boolean().optional(),
});
const userSchema = z.looseObject({
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  "client-certificate": z.string().optional(),
  "client-certificate-data": z.string().optional(),
  "client-key": z.string().optional(),
  "client-key-data": z.string().optional(),
  exec: execSchema.optional(),
});
const contextSchema = z.looseObject({ cluster: z.string(), user: z.string(), namespace: z.string().optional() });

/** Read anew for each use: tokens of service accounts and of login programs are renewed under a running control plane. */
export async function kubernetesAccess(config: KubernetesConfig): Promise<KubernetesAccess> {
  const path = kubeconfigPath(config);
  const access = path === undefined ? await podAccess() : await fileAccess(path, config);
  return config.namespace === undefined ? access : { ...access, namespace: config.namespace };
}

/** undefined: the control plane runs in a pod and uses its service account. */
function kubeconfigPath({ kubeconfig }: KubernetesConfig): string | undefined {
  if (kubeconfig !== undefined) return kubeconfig;
  const fromVariable = process.env.KUBECONFIG?.split(":").find((one) => one !== "");
  if (fromVariable !== undefined) return resolve(fromVariable);
  if (existsSync(join(accountFolder, "token"))) return undefined;
  return join(homedir(), ".kube/config");
}

async function podAccess(): Promise<KubernetesAccess> {
  const read = (name: string): Promise<string> => readFile(join(accountFolder, name), "utf8");
  const { KUBERNETES_SERVICE_HOST: host = "kubernetes.default.svc", KUBERNETES_SERVICE_PORT: port = "443" } =
    process.env;
  const [token, authority, namespace] = await Promise.all([read("token"), read("ca.crt"), read("namespace")]);
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return { server, namespace: namespace.trim(), authority, verifies: true, token: token.trim() };
}

async function fileAccess(path: string, config: KubernetesConfig): Promise<KubernetesAccess> {
  const document = await readKubeconfig(path);
  const wanted = config.context ?? document["current-context"] ?? "";
  const find = <Schema extends z.ZodType>(
    list: "contexts" | "clusters" | "users",
    member: string,
    name: string,
    schema: Schema,
  ): z.infer<Schema> => {
    const entry = document[list].find((one) => one.name === name);
    const parsed = schema.safeParse(entry?.[member]);
    if (parsed.success) return parsed.data;
    const known = document[list].map((one) => one.name).join(", ");
    throw new EspalierError("INVALID_CONFIG", `The kubeconfig ${path} has no usable ${member} \`${name}\``, {
      at: "compute",
      hint: known === "" ? `It names none under \`${list}\`.` : `It names: ${known}.`,
    });
  };
  const context = find("contexts", "context", wanted, contextSchema);
  const cluster = find("clusters", "cluster", context.cluster, clusterSchema);
  const user = find("users", "user", context.user, userSchema);
  const content = (data: string | undefined, file: string | undefined): Promise<string> | string | undefined =>
    data !== undefined
      ? Buffer.from(data, "base64").toString("utf8")
      : file === undefined
        ? undefined
        : readFile(resolve(dirname(path), file), "utf8");
  const fromProgram = user.exec === undefined ? {} : await runLogin(user.exec);
  const tokenFile = user.tokenFile === undefined ? undefined : await readFile(user.tokenFile, "utf8");
  return defined({
    server: cluster.server.replace(/\/+$/, ""),
    namespace: context.namespace ?? "default",
    verifies: cluster["insecure-skip-tls-verify"] !== true,
    authority: await content(cluster["certificate-authority-data"], cluster["certificate-authority"]),
    token: tokenFile?.trim() ?? user.token ?? fromProgram.token,
    certificate:
      (await content(user["client-certificate-data"], user["client-certificate"])) ?? fromProgram.certificate,
    key: (await content(user["client-key-data"], user["client-key"])) ?? fromProgram.key,
  });
}

function defined(access: { [Key in keyof KubernetesAccess]-?: KubernetesAccess[Key] | undefined }): KubernetesAccess {
  return Object.fromEntries(
    Object.entries(access).filter(([, value]) => value !== undefined),
  ) as unknown as KubernetesAccess;
}

async function readKubeconfig(path: string): Promise<z.infer<typeof kubeconfigSchema>> {
  try {
    return kubeconfigSchema.parse(parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new EspalierError("INVALID_CONFIG", `The kubeconfig ${path} can not be read: ${firstLine(cause)}`, {
      cause,
      at: "compute",
      hint: "Name the right file: `with.kubeconfig`, or the variable KUBECONFIG.",
    });
  }
}

interface Login {
  token?: string;
  certificate?: string;
  key?: string;
}

/** How long before its end a login is no longer used: requests under way must not meet it. */
const spareMilliseconds = 60_000;
/** What programs answered, by what was asked of them; their answer says until when it is good, and without that only for requests at the same time. */
const logins = new Map<string, { until: number; login: Promise<Login> }>();

function runLogin(exec: z.infer<typeof execSchema>): Promise<Login> {
  const key = JSON.stringify(exec);
  const known = logins.get(key);
  if (known !== undefined && known.until > Date.now()) return known.login;
  const asked = askProgram(exec);
  const entry = { until: Number.POSITIVE_INFINITY, login: asked.then(({ login }) => login) };
  logins.set(key, entry);
  asked.then(
    ({ until }) => (entry.until = until),
    () => logins.delete(key),
  );
  return entry.login;
}

/** A credential plugin (`client.authentication.k8s.io`), as clouds' command lines bring them. */
async function askProgram(exec: z.infer<typeof execSchema>): Promise<{ login: Login; until: number }> {
  const info = { apiVersion: exec.apiVersion, kind: "ExecCredential", spec: { interactive: false } };
  const variables = Object.fromEntries((exec.env ?? []).map(({ name, value }) => [name, value]));
  const env = { ...process.env, ...variables, KUBERNETES_EXEC_INFO: JSON.stringify(info) };
  try {
    const { stdout } = await promisify(execFile)(exec.command, exec.args ?? [], { env, timeout: 60_000 });
    const status = z
      .looseObject({
        status: z.looseObject({
          token: z.string().optional(),
          clientCertificateData: z.string().optional(),
          clientKeyData: z.string().optional(),
          expirationTimestamp: z.string().optional(),
        }),
      })
      .parse(JSON.parse(stdout)).status;
    const login = {
      ...(status.token === undefined ? {} : { token: status.token }),
      ...(status.clientCertificateData === undefined ? {} : { certificate: status.clientCertificateData }),
      ...(status.clientKeyData === undefined ? {} : { key: status.clientKeyData }),
    };
    const end = Date.parse(status.expirationTimestamp ?? "");
    return { login, until: Number.isNaN(end) ? 0 : end - spareMilliseconds };
  } catch (cause) {
    throw loginFailed(exec.command, cause);
  }
}

/** A program that is there and fails once (its own service was away) may do better at the next poll; a missing one will not. */
function loginFailed(command: string, cause: unknown): EspalierError {
  const missing = (cause as { code?: unknown }).code === "ENOENT";
  const { stderr } = cause as { stderr?: unknown };
  const said = typeof stderr === "string" && stderr.trim() !== "" ? stderr.trim().slice(0, 500) : firstLine(cause);
  const message = missing
    ? `The login program \`${command}\` is not installed`
    : `The login program \`${command}\` failed: ${said}`;
  return new EspalierError(missing ? "NOT_INSTALLED" : "UNAVAILABLE", message, {
    cause,
    at: "compute",
    hint: missing ? "The kubeconfig's user names it under `exec`." : "Run it by hand: it may ask you to log in again.",
  });
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
