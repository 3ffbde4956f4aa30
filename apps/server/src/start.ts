import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createArtifacts, EspalierError } from "@espalier/core";
import {
  createPythonEnvironments,
  createRemoteAttempts,
  createStaging,
  createTrialProposer,
  entryPoint,
  loadEmbeddedParts,
  loadProject,
  modelEnvironment,
  openStack,
  optunaPython,
} from "@espalier/host";
import type { Logger } from "pino";
import type { ControlPlane } from "./control-plane.ts";
import { openRecord } from "./db/record.ts";
import { allHandlers } from "./handlers/all.ts";
import { isLoopback } from "./http/allowed-hosts.ts";
import { type AppOptions, createApp } from "./http/app.ts";
import { closerOf } from "./http/close-app.ts";
import { registerFrontPage } from "./http/front-page.ts";
import { registerRoutes } from "./http/register-routes.ts";
import { registerSystemRoutes } from "./http/system-routes.ts";
import { createUrlSigner } from "./http/url-signer.ts";
import { tokenVerifier } from "./http/verify-token.ts";
import { registerLauncherRoutes } from "./launcher/launcher-routes.ts";
import { mintAttemptToken, remoteWork } from "./launcher/remote-work.ts";
import { mlflowVariables } from "./launcher/step-variables.ts";
import { listenWhereKnown, type Wanted } from "./listen-where-known.ts";
import { createLogger } from "./logger.ts";
import { startLoops } from "./loops.ts";
import { mirrorNamesOf } from "./mirrors/drain-mirrors.ts";
import { registerMlflow } from "./mlflow/register-mlflow.ts";
import { deliverBeforeClose } from "./notices/notices.ts";
import { acquireOwnership, type Owned } from "./owner/ownership.ts";
import { builtinsByName, makeEngine } from "./start-engine.ts";
import { version } from "./version.ts";
import { registerSessionRoutes } from "./web/session-routes.ts";
import { createSessions } from "./web/sessions.ts";
import { readWebFiles } from "./web/web-files.ts";

export interface StartOptions {
  projectDirectory: string;
  /** The stack of endpoints, secrets, monitors and artifacts; the project's default when left out. */
  stack?: string;
  /**
   * 0 takes any free one. Left out: `control_plane.port`, the port of a `control_plane.url` on loopback, 7878 for `up`, and for a command
   * any free one. While steps run that know the port of an earlier owner, that one is answered too.
   */
  port?: number;
  /** 127.0.0.1 by default; any but loopback needs tokens. */
  host?: string;
  /** PostgreSQL. Left out: the environment's DATABASE_URL, or SQLite in the project. */
  databaseUrl?: string;
  /** `up` wants to be the owner: CONFLICT when another process is. A command is content with the one there is. */
  role?: "up" | "command";
  /** For a command that only looks: endpoints, schedules and mirrors are left as they are. */
  looksOnly?: boolean;
  logger?: Logger;
}

export interface StartedControlPlane {
  url: string;
  token: string;
  /** false: another process owns the project, and this is its address. */
  owned: boolean;
  /** A link that signs a browser in once; undefined: the web UI is not built. Absent: another process owns the project. */
  signInUrl?(): string | undefined;
  /** Resolves when no run has been queued or running for this long. */
  idle(quietSeconds: number): Promise<void>;
  /** Lets go of all runs: steps and endpoints go on, and are taken up at the next start. Idempotent. */
  close(): Promise<void>;
}

/** Becomes the project's control plane, or finds the one there is. */
export async function startControlPlane(options: StartOptions): Promise<StartedControlPlane> {
  const project = await loadProject(options.projectDirectory);
  const ownership = await acquireOwnership(project.stateDirectory);
  if (ownership.owned) {
    try {
      return await startOwned(options, project, ownership);
    } catch (error) {
      await ownership.release();
      throw error;
    }
  }
  if (options.role === "up") {
    throw new EspalierError(
      "CONFLICT",
      `A control plane of this project runs already, at ${ownership.url} (process ${ownership.pid})`,
      {
        hint: "Use that one, or stop it first.",
      },
    );
  }
  const nothing = async (): Promise<void> => undefined;
  return { url: ownership.url, token: ownership.token, owned: false, idle: nothing, close: nothing };
}

type Closer = () => unknown;

async function startOwned(
  options: StartOptions,
  project: ControlPlane["project"],
  ownership: Owned,
): Promise<StartedControlPlane> {
  const logger = options.logger ?? createLogger(options.role ?? "command");
  const closing = new AbortController();
  // In the order in which they were opened; closed from the last to the first.
  const closers: Closer[] = [() => ownership.release()];
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= (async () => {
      await ownership.withdraw();
      closing.abort();
      const failures: unknown[] = [];
      for (const closer of closers.reverse()) {
        try {
          await closer();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    })());
  try {
    const { plane, signInUrl } = await compose(options, project, ownership, logger, closing.signal, closers);
    return {
      signInUrl,
      url: plane.url(),
      token: ownership.token,
      owned: true,
      close,
      idle: (quietSeconds) => untilIdle(plane, quietSeconds),
    };
  } catch (error) {
    await close().catch((failure: unknown) => logger.error({ err: failure }, "closing after a failed start"));
    throw error;
  }
}

async function compose(
  options: StartOptions,
  project: ControlPlane["project"],
  ownership: Owned,
  logger: Logger,
  closing: AbortSignal,
  closers: Closer[],
): Promise<{ plane: ControlPlane; signInUrl(): string | undefined }> {
  const { host = "127.0.0.1" } = options;
  const databaseUrl = options.databaseUrl ?? process.env["DATABASE_URL"];
  const record = await openRecord(
    databaseUrl === undefined || databaseUrl === ""
      ? { sqlitePath: join(project.stateDirectory, "record.db") }
      : { postgresUrl: databaseUrl },
    project.name,
    { soleOwner: true },
  );
  closers.push(() => record.close());
  await requireTokens(host, record);
  const stack = await openStack(project, options.stack ?? project.defaultStack);
  closers.push(() => stack.close());
  record.mirrors.tell(mirrorNamesOf({ project }, stack));

  const { files, dataBuiltins } = await loadEmbeddedParts();
  const artifacts = createArtifacts(stack.artifactStore, files);
  const environments = createPythonEnvironments();
  const builtins = builtinsByName(dataBuiltins);
  const stateFolder = project.stateDirectory;
  let url = "";
  const publicUrl = (): string => project.config.control_plane?.url ?? url;
  const mlflowFiles = project.config.control_plane?.mlflow === "files";
  const variables = mlflowVariables(record, { url: () => url, publicUrl, files: mlflowFiles });
  const staging = createStaging({
    stateFolder,
    artifacts,
    secrets: stack.secrets,
    variables,
    mintToken: (order) => mintAttemptToken(record, order),
    pythonBin: async ({ lock, pythonVersion }) => {
      const text = Buffer.from(await artifacts.readBytes(lock, undefined, 16 * 1024 * 1024)).toString("utf8");
      return environments.bin(text, pythonVersion);
    },
    modelPython: async (folder, label) => {
      const locks = join(stateFolder, "model-environments");
      return (await modelEnvironment(environments, { folder, label, locks }))?.program;
    },
    remote: (order, token) => remoteWork(publicUrl(), order, token),
  });
  const proposer = createTrialProposer(() => optunaPython(environments, join(stateFolder, "optuna")));
  closers.push(() => proposer.close());
  let plane: ControlPlane;
  const engine = makeEngine(
    {
      record,
      artifacts,
      staging,
      builtins,
      runnerFor: (step, run) => stack.runnerFor(step, run),
      proposeTrial: proposer.propose,
      // On SQLite one process owns the project: nobody else begins its steps.
      ...(record.kind === "postgres" ? { host: `${hostname()}:${stateFolder}` } : {}),
    },
    () => plane,
  );
  plane = {
    project,
    version,
    instance: randomUUID(),
    record,
    stack,
    artifacts,
    files,
    environments,
    engine,
    staging,
    remoteAttempts: createRemoteAttempts({ stateFolder, artifacts, secrets: stack.secrets, variables, mlflowFiles }),
    builtins,
    signer: createUrlSigner(publicUrl),
    logger,
    url: () => url,
    publicUrl,
    closing,
  };

  const verifyToken = tokenVerifier(ownership.token, record.tokens, {
    // Not in the audit log: whoever guesses must not be able to fill the record.
    onFailure: (address) => logger.warn({ address }, "a sign-in failed"),
  });
  const sessions = createSessions(await record.settings.secret("web-sessions"), verifyToken);
  const webFiles = await readWebFiles(entryPoint("web"));
  const app = createApp({
    logger,
    hosts: { names: namesOf(project), remote: !isLoopback(host) },
    verifyToken,
    web: { sessions, files: webFiles },
    projectDirectory: project.directory,
    ...limitsOf(project),
  });
  registerSystemRoutes(app, plane);
  registerSessionRoutes(app, sessions, () => publicUrl().startsWith("https:"));
  webFiles.register(app);
  registerFrontPage(app, { version, url: publicUrl, web: webFiles });
  registerRoutes(app, {
    handlers: allHandlers(plane),
    projectDirectory: project.directory,
    closing,
    audit: (entry) => record.audit.append(entry),
  });
  await app.register(async (scope) => registerLauncherRoutes(scope, plane));
  await registerMlflow(app, plane);
  const closer = closerOf(app);
  const listening = await listenWhereKnown(app, wantedAddress(options, host, project), { record, stateFolder, logger });
  url = listening.url;
  closers.push(closer);
  closers.push(() => listening.close());
  closers.push(() => deliverBeforeClose(plane));
  await engine.start();
  closers.push(() => engine.stop());
  const { role, looksOnly = false } = options;
  closers.push(await startLoops(plane, { appliesFile: role === "up", looksOnly }));
  await ownership.publish(url);
  // Behind the `#`, which no browser sends and no proxy logs.
  return { plane, signInUrl: () => (webFiles.isBuilt ? `${url}/sign-in#${sessions.mintCode()}` : undefined) };
}

/** Beyond this machine the owner's token, a file's secret, is not enough: there must be tokens that can be told apart and revoked. */
async function requireTokens(host: string, record: ControlPlane["record"]): Promise<void> {
  if (isLoopback(host)) return;
  const usable = (await record.tokens.list({ limit: 1000 })).items.some(
    (token) => token.revokedAt === undefined && token.scope.kind === "project",
  );
  if (usable) return;
  throw new EspalierError("UNAUTHENTICATED", `Listening on ${host} needs tokens, and this project has none`, {
    at: "--host",
    hint: "Create one first: `espalier token create <name> --role admin`.",
  });
}

const usualPort = 7878;

function wantedAddress({ port, role }: StartOptions, host: string, { config }: ControlPlane["project"]): Wanted {
  const insist = port !== undefined || role === "up";
  const { url, port: declared } = config.control_plane ?? {};
  const { hostname, port: portOfUrl } = url === undefined ? { hostname: "", port: "" } : new URL(url);
  const told = port ?? declared ?? (isLoopback(hostname) && portOfUrl !== "" ? Number(portOfUrl) : undefined);
  return { host, insist, port: told ?? (role === "up" ? usualPort : undefined) };
}

function limitsOf({ config }: ControlPlane["project"]): Pick<AppOptions, "rateLimit" | "loopbackWithoutToken"> {
  const { rate_limit: limit, loopback_without_token: loopback } = config.control_plane ?? {};
  return {
    ...(limit === undefined ? {} : { rateLimit: { perSecond: limit.requests_per_second, burst: limit.burst } }),
    ...(loopback === undefined ? {} : { loopbackWithoutToken: loopback }),
  };
}

function namesOf(project: ControlPlane["project"]): string[] {
  const url = project.config.control_plane?.url;
  return url === undefined ? [] : [new URL(url).hostname];
}

async function untilIdle({ record, engine }: ControlPlane, quietSeconds: number): Promise<void> {
  for (let quiet = false; ; ) {
    const active = (
      await Promise.all((["queued", "running"] as const).map((state) => record.runs.list({ state }, { limit: 100 })))
    ).flatMap((page) => page.items);
    if (active.length === 0 && quiet) return;
    quiet = active.length === 0;
    await Promise.all(active.map((run) => engine.finished(run.id)));
    if (quiet) await pause(quietSeconds * 1000, undefined, { ref: false });
  }
}
