import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@espalier/contract";
import { createClient, routes } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import { findProject } from "@espalier/host";

/** What a command works with. */
export interface Session {
  client: Client;
  projectDirectory: string;
  /** The control plane ends with this command. */
  readonly endsWithCommand: boolean;
}

interface Owner {
  url: string;
  token: string;
  /** Set when the control plane runs in this process. */
  close?: () => Promise<void>;
}

export interface SessionOptions {
  project?: string;
  /** The stack that a control plane of this process opens; one that runs already has its own. */
  stack?: string;
  /** The command only looks: where it becomes the control plane itself, nothing is started. */
  looksOnly?: boolean;
}

/**
 * Gives the action a client of the project's control plane: the one that runs, or one that this process holds for as long as the
 * action takes. When the owner goes away in the middle (it was another command that ended), the session finds the next owner or
 * becomes it, and the call goes on; runs survive that, their state is in the record.
 */
export async function withSession<Result>(
  options: SessionOptions,
  action: (session: Session) => Promise<Result>,
): Promise<Result> {
  const projectDirectory = await findProject(options.project ?? process.cwd());
  let owner = await connect(projectDirectory, options);
  let connecting: Promise<void> | undefined;
  const reconnect = (failed: Owner): Promise<void> => {
    if (owner !== failed) return Promise.resolve();
    connecting ??= connect(projectDirectory, options)
      .then((next) => {
        owner = next;
      })
      .finally(() => {
        connecting = undefined;
      });
    return connecting;
  };
  const follow = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const target = new URL(String(input instanceof Request ? input.url : input));
    for (let attempt = 1; ; attempt += 1) {
      const current = owner;
      const headers = new Headers(init?.headers);
      headers.set("authorization", `Bearer ${current.token}`);
      try {
        return await fetch(`${current.url}${target.pathname}${target.search}`, { ...init, headers });
      } catch (error) {
        if (init?.signal?.aborted || attempt >= 5 || !maySendAgain(error, init?.method, target.pathname)) throw error;
        await reconnect(current);
      }
    }
  };
  try {
    return await action({
      client: createClient({ url: owner.url, token: owner.token, fetch: follow }),
      projectDirectory,
      get endsWithCommand() {
        return owner.close !== undefined;
      },
    });
  } finally {
    await owner.close?.();
  }
}

/** A refused connection reached nobody; reads may be repeated, and so may the creation of a run, whose id the caller minted. */
function maySendAgain(error: unknown, method = "GET", path = ""): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "ECONNREFUSED" || method !== "POST" || path === routes["runs.create"].path;
}

async function connect(projectDirectory: string, options: SessionOptions): Promise<Owner> {
  return (await runningOwner(projectDirectory)) ?? (await becomeOwner(projectDirectory, options));
}

/** The published owner, if it answers. */
export async function runningOwner(projectDirectory: string): Promise<Owner | undefined> {
  let published: { url: string; token: string };
  try {
    published = JSON.parse(await readFile(join(projectDirectory, ".espalier", "owner.json"), "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && "code" in error && error.code === "ENOENT"))
      return undefined;
    throw new EspalierError("PERMISSION_DENIED", "The control plane of this project belongs to another user", {
      at: ".espalier/owner.json",
      cause: error,
    });
  }
  try {
    const response = await fetch(`${published.url}/health`, { signal: AbortSignal.timeout(2000) });
    return response.ok ? published : undefined;
  } catch {
    // Nobody answers: the file is what a killed owner left behind.
    return undefined;
  }
}

async function becomeOwner(projectDirectory: string, { stack, looksOnly = false }: SessionOptions): Promise<Owner> {
  const { startControlPlane } = await import("@espalier/server");
  return startControlPlane({ projectDirectory, looksOnly, ...(stack === undefined ? {} : { stack }) });
}
