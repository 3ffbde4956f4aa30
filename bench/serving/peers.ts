import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../scripts/servers/free-port.ts";
import { mlflowVersions } from "../../scripts/servers/mlflow-environment.ts";
import { pythonPrograms } from "../../scripts/servers/python-programs.ts";
import type { Contender } from "./contender.ts";
import { type BenchModel, mlflowInputs, modelName, v2Grpc, v2Json } from "./model.ts";
import { startProgram } from "./server-process.ts";

const sources = join(import.meta.dirname, "peers");
const environments = join(import.meta.dirname, "../../scripts/servers/environments");
/** The version that a peer's requirements pin. */
function pinned(requirements: string, name: string): string {
  const text = readFileSync(join(environments, requirements), "utf8");
  const version = new RegExp(`^${name}(?:\\[.*\\])?==(\\S+)$`, "m").exec(text)?.[1];
  if (version === undefined) throw new Error(`${requirements} pins no ${name}`);
  return version;
}

const json = (value: unknown): string => JSON.stringify(value);

/** Variables that would lead a peer to another place, or to the net. */
const quiet = { MLFLOW_DISABLE_TELEMETRY: "true", BENTOML_DO_NOT_TRACK: "True", PYTHONUNBUFFERED: "1" };

const mlserver: Contender = {
  key: "mlserver",
  title: `MLServer ${pinned("serving-mlserver.txt", "mlserver")}`,
  setUp: "ONNX runtime of its guide, one worker, adaptive batching (64 requests, 5 ms)",
  async start(model, scratch) {
    const programs = await pythonPrograms("serving-mlserver.txt", "MLServer");
    if ("skipped" in programs) return programs;
    const folder = join(scratch, "mlserver");
    await mkdir(folder, { recursive: true });
    await copyFile(join(sources, "mlserver_runtime.py"), join(folder, "mlserver_runtime.py"));
    const [port, grpcPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
    const settings = {
      host: "127.0.0.1",
      http_port: port,
      grpc_port: grpcPort,
      metrics_port: metricsPort,
      debug: false,
    };
    await writeFile(join(folder, "settings.json"), json(settings));
    const modelSettings = {
      name: modelName,
      implementation: "mlserver_runtime.OnnxModel",
      parameters: { uri: model.onnxFile },
      max_batch_size: 64,
      max_batch_time: 0.005,
    };
    await writeFile(join(folder, "model-settings.json"), json(modelSettings));
    return startProgram({
      command: join(programs.bin, "mlserver"),
      words: ["start", "."],
      folder,
      variables: { ...quiet, PATH: `${programs.bin}:${process.env.PATH}` },
      port,
      grpcPort,
      first: v2Json(model),
    });
  },
  loads: [
    { protocol: "V2 JSON", request: v2Json },
    { protocol: "V2 gRPC", request: v2Grpc },
  ],
};

const bentoml: Contender = {
  key: "bentoml",
  title: `BentoML ${pinned("serving-bentoml.txt", "bentoml")}`,
  setUp: "batchable method, one worker",
  async start(model, scratch) {
    const programs = await pythonPrograms("serving-bentoml.txt", "BentoML");
    if ("skipped" in programs) return programs;
    const folder = join(scratch, "bentoml");
    await mkdir(folder, { recursive: true });
    await copyFile(join(sources, "bentoml_service.py"), join(folder, "bentoml_service.py"));
    const port = await freePort();
    return startProgram({
      command: join(programs.bin, "bentoml"),
      words: ["serve", "bentoml_service:Tree", "--host", "127.0.0.1", "--port", String(port)],
      folder,
      variables: { ...quiet, MODEL: model.onnxFile, BENTOML_HOME: folder, PATH: `${programs.bin}:${process.env.PATH}` },
      port,
      first: bentomlRequest(model),
    });
  },
  loads: [{ protocol: "its JSON", request: bentomlRequest }],
};

function bentomlRequest({ row }: BenchModel): ReturnType<typeof v2Json> {
  return { path: "/predict", body: Buffer.from(json({ rows: [row] })) };
}

const mlflow: Contender = {
  key: "mlflow",
  title: `MLflow ${mlflowVersions[0]}, models serve`,
  setUp: "ONNX flavour, 2 workers",
  async start(model, scratch) {
    const version = mlflowVersions[0];
    const programs = await pythonPrograms(`mlflow-${version}.txt`, `MLflow ${version}`);
    if ("skipped" in programs) return programs;
    const folder = join(scratch, "mlflow");
    await mkdir(folder, { recursive: true });
    const words = [join(sources, "mlflow_model.py"), model.onnxFile, String(model.columns), join(folder, "model")];
    const saved = spawnSync(join(programs.bin, "python"), words, {
      cwd: folder,
      env: { ...process.env, ...quiet },
      encoding: "utf8",
    });
    if (saved.status !== 0) throw new Error(`The MLflow model was not saved: ${saved.stderr}`);
    const port = await freePort();
    return startProgram({
      command: join(programs.bin, "mlflow"),
      words: [
        ...["models", "serve", "--model-uri", join(folder, "model"), "--env-manager", "local"],
        ...["--host", "127.0.0.1", "--port", String(port), "--workers", "2"],
      ],
      folder,
      variables: { ...quiet, PATH: `${programs.bin}:${process.env.PATH}` },
      port,
      first: mlflowInputs(model),
    });
  },
  loads: [{ protocol: "/invocations", request: mlflowInputs }],
};

const fastapi: Contender = {
  key: "fastapi",
  title: `FastAPI ${pinned("serving-fastapi.txt", "fastapi")}, onnxruntime`,
  setUp: "uvicorn, 2 workers, no access log",
  async start(model, scratch) {
    const programs = await pythonPrograms("serving-fastapi.txt", "FastAPI");
    if ("skipped" in programs) return programs;
    const folder = join(scratch, "fastapi");
    await mkdir(folder, { recursive: true });
    await copyFile(join(sources, "fastapi_app.py"), join(folder, "fastapi_app.py"));
    const port = await freePort();
    return startProgram({
      command: join(programs.bin, "uvicorn"),
      words: [
        ...["fastapi_app:app", "--host", "127.0.0.1", "--port", String(port)],
        ...["--workers", "2", "--no-access-log", "--log-level", "warning"],
      ],
      folder,
      variables: { ...quiet, MODEL: model.onnxFile, PATH: `${programs.bin}:${process.env.PATH}` },
      port,
      first: fastapiRequest(model),
    });
  },
  loads: [{ protocol: "V1-like JSON", request: fastapiRequest }],
};

function fastapiRequest({ row }: BenchModel): ReturnType<typeof v2Json> {
  return { path: "/predict", body: Buffer.from(json({ instances: [row] })) };
}

export const peers: readonly Contender[] = [mlserver, bentoml, mlflow, fastapi];
