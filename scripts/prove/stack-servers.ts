import { join } from "node:path";
import { startDockerRegistry } from "../servers/docker-registry.ts";
import { freePort } from "../servers/free-port.ts";
import { startMlflowServer } from "../servers/mlflow.ts";
import { startPostgres } from "../servers/postgres.ts";
import { startRay } from "../servers/ray.ts";
import { startVersitygw } from "../servers/versitygw.ts";

/** A stack that can be tried here: what `espalier.yaml` says of it, and the real servers behind it. */
export interface TriedStack {
  /** The value of `stacks.<name>`. */
  choices: object;
  controlPlanePort?: number;
  databaseUrl: string;
  variables: Readonly<Record<string, string>>;
  /** Tool and server, with its version. */
  servers: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const starters: Readonly<Record<string, (folder: string) => Promise<TriedStack | { skipped: string }>>> = {
  laptop: async () => ({
    choices: {},
    databaseUrl: "",
    variables: {},
    servers: { everything: "embedded" },
    stop: async () => undefined,
  }),
  servers: startServers,
};
export const knownStacks = Object.keys(starters);

export const startStack = (name: string, folder: string): Promise<TriedStack | { skipped: string }> =>
  starters[name]?.(folder) ??
  Promise.resolve({ skipped: `there is no such stack; there are: ${knownStacks.join(", ")}` });

/** versitygw, PostgreSQL, three Ray nodes, MLflow as mirror of tracking and registry, and docker-registry. */
async function startServers(folder: string): Promise<TriedStack | { skipped: string }> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  const up = async <Server extends { stop(): Promise<void> }>(
    name: string,
    start: () => Promise<Server | { skipped: string }>,
  ): Promise<Server> => {
    process.stderr.write(`starting ${name}\n`);
    const server = await start();
    if ("skipped" in server) throw new Error(`${name}: ${server.skipped}`);
    stops.push(server.stop);
    return server;
  };
  try {
    const s3 = await up("versitygw", startVersitygw);
    const postgres = await up("PostgreSQL", startPostgres);
    const mlflow = await up("MLflow", () =>
      startMlflowServer({ version: "3.17.2", backend: "sqlite", workers: 1, folder: join(folder, "mlflow") }),
    );
    const registry = await up("docker-registry", startDockerRegistry);
    const ray = await up("Ray", () => startRay());
    const mirror = { uses: "mlflow", with: { tracking_uri: mlflow.url } };
    return {
      choices: {
        artifacts: { uses: "s3", with: { endpoint: s3.endpoint, bucket: s3.bucket, region: "us-east-1" } },
        compute: { train: { uses: "ray", with: { address: ray.address } } },
        tracking: mirror,
        registry: mirror,
        packages: {
          uses: "oci",
          with: { registry: registry.registry, username: registry.username, password_secret: "REGISTRY_PASSWORD" },
        },
      },
      controlPlanePort: await freePort(),
      databaseUrl: postgres.url,
      variables: {
        AWS_ACCESS_KEY_ID: s3.accessKeyId,
        AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
        RAY_AUTH_TOKEN: ray.token,
        REGISTRY_PASSWORD: registry.password,
      },
      servers: {
        artifacts: `versitygw ${s3.version}`,
        metadata: "PostgreSQL",
        "compute train": `Ray ${ray.version}, three nodes`,
        "tracking, registry": `MLflow ${mlflow.version}`,
        packages: `docker-registry ${registry.version}`,
      },
      stop,
    };
  } catch (error) {
    await stop();
    return { skipped: error instanceof Error ? error.message : String(error) };
  }
}
