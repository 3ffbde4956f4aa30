import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { freePort } from "../../scripts/servers/free-port.ts";
import type { Contender } from "./contender.ts";
import { type BenchModel, modelName, v2Binary, v2Grpc, v2Json } from "./model.ts";
import { type BenchServer, startProgram } from "./server-process.ts";

const root = resolve(import.meta.dirname, "../..");
let entry = join(root, "apps/serving/src/main.ts");

/** From here on ours are started as they are published: built, so that nothing is compiled at their start. */
export function useBuiltPackage(): void {
  execFileSync(process.execPath, [join(root, "scripts/build.ts")], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  entry = join(root, "dist/package/dist/serving.js");
}

async function startModelServer(model: BenchModel, scratch: string, ...words: string[]): Promise<BenchServer> {
  const [port, grpcPort] = [await freePort(), await freePort()];
  const flags = [
    "--model-dir",
    model.folder,
    "--name",
    modelName,
    "--port",
    String(port),
    "--grpc-port",
    String(grpcPort),
  ];
  return startProgram({
    command: process.execPath,
    words: [entry, "model", ...flags, ...words],
    folder: scratch,
    port,
    grpcPort,
    first: v2Json(model),
  });
}

/** Router before a model server, which is there already: cold start and memory are the router's. */
async function startRouter(model: BenchModel, scratch: string, captureRate: number): Promise<BenchServer> {
  const folder = join(scratch, `router-${captureRate}`);
  await mkdir(folder, { recursive: true });
  const server = await startModelServer(model, scratch, "--capture-dir", join(folder, "capture"));
  const version = { key: modelName, model: modelName, version: "1", port: server.port, weight: 1 };
  const state = join(folder, "state.json");
  await writeFile(state, JSON.stringify({ format: 1, endpoint: "e", generation: 1, captureRate, versions: [version] }));
  const port = await freePort();
  try {
    const router = await startProgram({
      command: process.execPath,
      words: [entry, "router", "--state", state, "--port", String(port)],
      folder,
      port,
      first: v2Json(model),
    });
    const stop = async (): Promise<void> => {
      await router.stop();
      await server.stop();
    };
    return { ...router, stop };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

export const ours: readonly Contender[] = [
  {
    key: "espalier",
    title: "Espalier model server",
    setUp: "one process, defaults",
    start: (model, scratch) => startModelServer(model, scratch),
    loads: [
      { protocol: "V2 JSON", request: v2Json },
      { protocol: "V2 binary", request: v2Binary },
      { protocol: "V2 gRPC", request: v2Grpc },
      { protocol: "V2 JSON, 1 connection", request: v2Json, connections: 1 },
    ],
  },
  {
    key: "espalier-captured",
    title: "Espalier model server, all captured",
    setUp: "one process, capture rate 1",
    start: (model, scratch) =>
      startModelServer(model, scratch, "--capture-dir", join(scratch, "capture"), "--capture-rate", "1"),
    loads: [
      { protocol: "V2 JSON", request: v2Json },
      { protocol: "V2 binary", request: v2Binary },
    ],
  },
  {
    key: "router",
    title: "Espalier router and model server",
    setUp: "two processes; start and memory are the router's",
    start: (model, scratch) => startRouter(model, scratch, 0),
    loads: [
      { protocol: "V2 JSON", request: v2Json },
      { protocol: "V2 binary", request: v2Binary },
    ],
  },
  {
    key: "router-captured",
    title: "Espalier router and model server, all captured",
    setUp: "two processes; start and memory are the router's",
    start: (model, scratch) => startRouter(model, scratch, 1),
    loads: [{ protocol: "V2 JSON", request: v2Json }],
  },
];
