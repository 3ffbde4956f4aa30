import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { pytest, type Sum } from "./pytest.ts";
import { findActionlint } from "./servers/actionlint.ts";
import { startAirflow } from "./servers/airflow.ts";
import { findArgo } from "./servers/argo.ts";
import { findChromium } from "./servers/chromium.ts";
import { findCollector } from "./servers/collector.ts";
import { findCosign } from "./servers/cosign.ts";
import { startDockerRegistry } from "./servers/docker-registry.ts";
import { startKubernetes } from "./servers/kubernetes.ts";
import { startMlflowServer } from "./servers/mlflow.ts";
import { type MlflowVersion, mlflowPrograms, withoutMlflowVariables } from "./servers/mlflow-environment.ts";
import { preparePodman } from "./servers/podman.ts";
import { findPrometheus } from "./servers/prometheus.ts";
import { pythonPrograms } from "./servers/python-programs.ts";
import { startRay } from "./servers/ray.ts";
import { startSeaweedfs } from "./servers/seaweedfs.ts";
import { startServing } from "./servers/serving.ts";
import { startSlurm } from "./servers/slurm.ts";
import { type S3Server, startVersitygw } from "./servers/versitygw.ts";

/**
 * `npm run test:servers -- <name>...`: starts real servers and runs the conformance suites of the tools that speak to them.
 * Without names: all. The last line is the sum; a server that can not be had here counts as skipped, with its reason.
 */
interface VitestSuite {
  tests: string[];
  start(): Promise<{ variables: Record<string, string>; stop(): Promise<void> } | { skipped: string }>;
}
/** A suite in another language, which starts what it needs. */
interface OwnSuite {
  run(): Promise<Sum | { reason: string }>;
}

const root = resolve(import.meta.dirname, "..");
const s3Tests = [
  "adapters/open-source/src/s3-artifact-store.test.ts",
  "adapters/open-source/src/s3-faults.test.ts",
  "scenarios/move",
];
const mlflowTests = ["adapters/open-source/src/mlflow-mirrors.test.ts", "apps/server/src/transfer/round-trip.test.ts"];

const suites: Readonly<Record<string, VitestSuite | OwnSuite>> = {
  "s3/versitygw": { tests: s3Tests, start: () => startS3(startVersitygw) },
  "s3/seaweedfs": { tests: s3Tests, start: () => startS3(startSeaweedfs) },
  packages: {
    tests: ["adapters/open-source/src/oci-image-registry.test.ts", "scenarios/packaging"],
    async start() {
      const server = await startDockerRegistry();
      if ("skipped" in server) return server;
      const podman = preparePodman();
      const cosign = findCosign();
      const variables = {
        ESPALIER_TEST_REGISTRY: server.registry,
        ESPALIER_TEST_REGISTRY_USERNAME: server.username,
        ESPALIER_TEST_REGISTRY_PASSWORD: server.password,
        ESPALIER_TEST_REGISTRY_FOLDER: server.folder,
        ...("skipped" in podman
          ? { ESPALIER_TEST_PODMAN_SKIPPED: podman.skipped }
          : { ESPALIER_TEST_PODMAN: JSON.stringify(podman.environment) }),
        ...("skipped" in cosign
          ? { ESPALIER_TEST_COSIGN_SKIPPED: cosign.skipped }
          : { ESPALIER_TEST_COSIGN: cosign.path }),
      };
      return {
        variables,
        async stop() {
          if (!("skipped" in podman)) podman.stop();
          await server.stop();
        },
      };
    },
  },
  mlflow: { tests: [...mlflowTests, "apps/server/src/mirrors/mirrors.test.ts"], start: () => startMlflow("3.17.2") },
  "mlflow-2": { tests: mlflowTests, start: () => startMlflow("2.22.5") },
  airflow: {
    tests: ["scenarios/airflow"],
    async start() {
      const server = await startAirflow();
      if ("skipped" in server) return server;
      const variables = { ESPALIER_TEST_AIRFLOW_URL: server.url, ESPALIER_TEST_AIRFLOW_DAGS: server.dagsFolder };
      return { variables, stop: server.stop };
    },
  },
  argo: {
    tests: ["apps/cli/src/orchestrator-export.test.ts"],
    async start() {
      const found = findArgo();
      if ("skipped" in found) return found;
      return { variables: { ESPALIER_TEST_ARGO: found.path }, stop: async () => undefined };
    },
  },
  traces: {
    tests: ["apps/server/src/mirrors/telling.test.ts"],
    async start() {
      const found = findCollector();
      if ("skipped" in found) return found;
      return { variables: { ESPALIER_TEST_COLLECTOR: found.path }, stop: async () => undefined };
    },
  },
  delivery: {
    tests: ["apps/cli/src/ci.test.ts"],
    async start() {
      const found = findActionlint();
      if ("skipped" in found) return found;
      return { variables: { ESPALIER_TEST_ACTIONLINT: found.path }, stop: async () => undefined };
    },
  },
  kubernetes: {
    tests: ["adapters/open-source/src/kubernetes-step-runner.test.ts"],
    async start() {
      const cluster = await startKubernetes();
      if ("skipped" in cluster) return cluster;
      const variables = {
        ESPALIER_TEST_KUBECONFIG: cluster.kubeconfig,
        ESPALIER_TEST_KUBERNETES_IMAGE: cluster.image,
      };
      return { variables, stop: cluster.stop };
    },
  },
  prometheus: {
    tests: ["scenarios/prometheus"],
    async start() {
      const found = findPrometheus();
      if ("skipped" in found) return found;
      return { variables: { ESPALIER_TEST_PROMETHEUS: "installed" }, stop: async () => undefined };
    },
  },
  ray: {
    tests: ["adapters/open-source/src/ray-step-runner.test.ts", "scenarios/ray/ray.test.ts"],
    async start() {
      const cluster = await startRay();
      if ("skipped" in cluster) return cluster;
      const variables = { ESPALIER_TEST_RAY_ADDRESS: cluster.address, ESPALIER_TEST_RAY_TOKEN: cluster.token };
      return { variables, stop: cluster.stop };
    },
  },
  slurm: {
    tests: ["adapters/open-source/src/slurm-step-runner.test.ts", "scenarios/slurm"],
    async start() {
      const server = await startSlurm();
      if ("skipped" in server) return server;
      const variables = {
        ESPALIER_TEST_SLURM_ENDPOINT: server.endpoint,
        ESPALIER_TEST_SLURM_USER: server.user,
        ESPALIER_TEST_SLURM_TOKEN: server.token,
        ESPALIER_TEST_SLURM_ROOT_TOKEN: server.rootToken,
        ESPALIER_TEST_SLURM_SHARED: server.sharedFolder,
        SLURM_CONF: server.configuration,
      };
      return { variables, stop: server.stop };
    },
  },
  search: {
    tests: ["scenarios/faults/search-killed.test.ts"],
    start: async () => ({ variables: { ESPALIER_TEST_SEARCH: "1" }, stop: async () => undefined }),
  },
  web: {
    tests: ["scenarios/web"],
    async start() {
      const found = findChromium();
      if ("skipped" in found) return found;
      return { variables: { ESPALIER_TEST_CHROMIUM: found.path }, stop: async () => undefined };
    },
  },
  serving: { run: runServingClients },
};

async function runServingClients(): ReturnType<OwnSuite["run"]> {
  const programs = await pythonPrograms("serving-clients.txt", "The clients of model servers");
  if ("skipped" in programs) return { reason: programs.skipped };
  const servers = await startServing(programs.bin);
  try {
    const variables = {
      ...withoutMlflowVariables(),
      ESPALIER_SUITE: JSON.stringify(servers.description),
      MLFLOW_DISABLE_TELEMETRY: "true",
      GIT_PYTHON_REFRESH: "quiet",
    };
    return await pytest({ bin: programs.bin, folder: join(root, "scenarios/serving-clients"), variables });
  } finally {
    await servers.stop();
  }
}

async function startS3(startServer: () => Promise<S3Server | { skipped: string }>): ReturnType<VitestSuite["start"]> {
  const server = await startServer();
  if ("skipped" in server) return server;
  const variables = {
    ESPALIER_TEST_S3_ENDPOINT: server.endpoint,
    ESPALIER_TEST_S3_BUCKET: server.bucket,
    ESPALIER_TEST_S3_PID: String(server.pid),
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
  };
  return { variables, stop: server.stop };
}

async function startMlflow(version: MlflowVersion): ReturnType<VitestSuite["start"]> {
  const programs = await mlflowPrograms(version);
  if ("skipped" in programs) return programs;
  const server = await startMlflowServer({ version, backend: "sqlite", workers: 1 });
  if ("skipped" in server) return server;
  const variables = {
    ESPALIER_TEST_MLFLOW_URI: server.url,
    ESPALIER_TEST_MLFLOW_VERSION: server.version,
    ESPALIER_TEST_MLFLOW_PYTHON: join(programs.bin, "python"),
  };
  return { variables, stop: server.stop };
}

const asked = process.argv.slice(2);
/** `s3` asks for every server of that kind, `s3/versitygw` for one. */
const isAsked = (name: string): boolean => asked.includes(name) || asked.includes(name.split("/")[0] ?? name);
const kinds = Object.keys(suites).flatMap((name) => [name, name.split("/")[0]]);
const unknown = asked.filter((name) => !kinds.includes(name));
if (unknown.length > 0) {
  console.error(`There is no server ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`);
  process.exit(2);
}

const sum: Sum = { passed: 0, failed: 0, skipped: 0 };
for (const [name, suite] of Object.entries(suites)) {
  if (asked.length > 0 && !isAsked(name)) continue;
  if ("run" in suite) {
    const result = await suite.run();
    if ("reason" in result) {
      console.log(`skipped: ${name}: ${result.reason}`);
      sum.skipped += 1;
    } else for (const key of ["passed", "failed", "skipped"] as const) sum[key] += result[key];
    continue;
  }
  const server = await suite.start();
  if ("skipped" in server) {
    console.log(`skipped: ${name}: ${server.skipped}`);
    sum.skipped += 1;
    continue;
  }
  try {
    const run = spawnSync(process.execPath, [join(root, "scripts/test.ts"), ...suite.tests], {
      cwd: root,
      env: { ...process.env, ...server.variables },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    process.stdout.write(run.stdout);
    const last = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(run.stdout);
    sum.passed += Number(last?.[1] ?? 0);
    sum.failed += last ? Number(last[2]) : 1;
    sum.skipped += Number(last?.[3] ?? 0);
    if (run.status !== 0 && last?.[2] === "0") sum.failed += 1;
  } finally {
    await server.stop();
  }
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exit(sum.failed === 0 ? 0 : 1);
