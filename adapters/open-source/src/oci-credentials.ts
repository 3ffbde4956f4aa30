import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import { z } from "zod";

/** For one registry. An identity token is exchanged for tokens, and is no password. */
export type RegistryCredentials = { username: string; password: string } | { identityToken: string };

const fileSchema = z.looseObject({
  auths: z
    .record(
      z.string(),
      z.looseObject({
        auth: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
        identitytoken: z.string().optional(),
      }),
    )
    .optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
});
type CredentialsFile = z.infer<typeof fileSchema>;

/** The files that `podman login` and `docker login` write, in the order in which such programs look. */
function credentialFiles(environment: NodeJS.ProcessEnv): string[] {
  const home = environment["HOME"] ?? homedir();
  const { REGISTRY_AUTH_FILE: named, DOCKER_CONFIG: docker, XDG_RUNTIME_DIR: runtime } = environment;
  if (named !== undefined && named !== "") return [named];
  return [
    ...(runtime === undefined ? [] : [join(runtime, "containers", "auth.json")]),
    ...(process.getuid?.() === undefined ? [] : [`/run/containers/${process.getuid?.()}/auth.json`]),
    join(environment["XDG_CONFIG_HOME"] ?? join(home, ".config"), "containers", "auth.json"),
    join(docker ?? join(home, ".docker"), "config.json"),
  ];
}

/**
 * What the user has signed in with, for a repository of a registry; undefined where there is nothing. Errors: INVALID_CONFIG when such a file
 * can not be read, NOT_INSTALLED and UNAUTHENTICATED of a credential helper. Neither says what it read.
 */
export async function storedCredentials(
  registry: string,
  repository: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<RegistryCredentials | undefined> {
  for (const path of credentialFiles(environment)) {
    const file = await readCredentials(path);
    if (file === undefined) continue;
    const helper = file.credHelpers?.[registry] ?? file.credsStore;
    if (helper !== undefined) {
      const found = await askHelper(helper, registry, environment);
      if (found !== undefined) return found;
    }
    const found = entryOf(file, registry, repository, path);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function readCredentials(path: string): Promise<CredentialsFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new EspalierError(
      "PERMISSION_DENIED",
      `${path}, which holds the credentials of registries, can not be read`,
      {
        at: path,
        cause: error,
      },
    );
  }
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch {
    // The parser's message could quote a password.
    throw new EspalierError("INVALID_CONFIG", `${path} is not a file of registry credentials`, {
      at: path,
      hint: "Remove it and sign in again.",
    });
  }
}

/** The most particular entry: podman knows credentials of a namespace. */
function entryOf(
  file: CredentialsFile,
  registry: string,
  repository: string,
  path: string,
): RegistryCredentials | undefined {
  const parts = `${registry}/${repository}`.split("/");
  const names = parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
  if (registry === "docker.io") names.push("index.docker.io");
  for (const name of names) {
    const keys = [name, `https://${name}`, `http://${name}`, `https://${name}/v1/`, `https://${name}/v2/`];
    const key = keys.find((one) => Object.hasOwn(file.auths ?? {}, one));
    const entry = key === undefined ? undefined : file.auths?.[key];
    if (entry === undefined) continue;
    if (entry.identitytoken) return { identityToken: entry.identitytoken };
    if (entry.username !== undefined && entry.password !== undefined) {
      return { username: entry.username, password: entry.password };
    }
    if (entry.auth) return decodePair(entry.auth, path);
  }
  return undefined;
}

function decodePair(auth: string, path: string): RegistryCredentials {
  const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = text.indexOf(":");
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  throw new EspalierError("INVALID_CONFIG", `${path} has an entry that is no user and password`, {
    at: path,
    hint: "Sign in again.",
  });
}

const helperAnswerSchema = z.looseObject({ Username: z.string(), Secret: z.string() });

/** A program by Docker's protocol: the registry on standard input, credentials in JSON on standard output. */
async function askHelper(
  helper: string,
  registry: string,
  environment: NodeJS.ProcessEnv,
): Promise<RegistryCredentials | undefined> {
  if (!/^[A-Za-z0-9._-]+$/.test(helper)) {
    throw new EspalierError("INVALID_CONFIG", `"${helper}" can not be the name of a credential helper`);
  }
  const program = `docker-credential-${helper}`;
  const child = spawn(program, ["get"], { env: environment, stdio: ["pipe", "pipe", "ignore"], timeout: 30_000 });
  const ended = once(child, "close").catch((cause: unknown) => {
    throw new EspalierError("NOT_INSTALLED", `The credential helper ${program} can not be run`, {
      cause,
      hint: `Install ${program}, or sign in to ${registry} without it.`,
    });
  });
  // A helper that is not there breaks the pipe too; `ended` tells it better.
  child.stdin.on("error", () => undefined);
  child.stdin.end(registry === "docker.io" ? "https://index.docker.io/v1/" : registry);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [status] = (await ended) as [number | null];
  if (status !== 0) {
    if (/credentials not found/i.test(text)) return undefined;
    throw new EspalierError("UNAUTHENTICATED", `${program} gives no credentials for ${registry}`, {
      hint: `Sign in to ${registry} again.`,
    });
  }
  const answer = helperAnswerSchema.safeParse(parsed(text)).data;
  if (answer === undefined) return undefined;
  if (answer.Username === "<token>") return { identityToken: answer.Secret };
  return { username: answer.Username, password: answer.Secret };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
