import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { importImages, pauseImage, pythonImage } from "./kubernetes/images.ts";
import { kubernetesPrograms, kubernetesVersion } from "./kubernetes/programs.ts";
import { installPackages } from "./packages.ts";

export interface KubernetesCluster {
  /** Of the administrator. */
  kubeconfig: string;
  endpoint: string;
  token: string;
  version: string;
  /** On the node, with `python3` and a shell. */
  image: string;
  stop(): Promise<void>;
}

/** An address that is neither loopback, which a kubelet refuses, nor reached from elsewhere; it is put on the loopback interface. */
const nodeAddress = "198.18.34.1";

/**
 * Starts a Kubernetes of its own on this machine: etcd, API server, controllers, scheduler, and a real kubelet over containerd as the one node.
 * `{ skipped }` says why there is none.
 */
export async function startKubernetes(): Promise<KubernetesCluster | { skipped: string }> {
  if (process.getuid?.() !== 0) return { skipped: "A kubelet must be root" };
  const missing = installPackages(
    ["containerd", "runc", "iptables", "conntrack", "busybox", "ip"],
    ["containerd", "runc", "iptables", "conntrack", "busybox-static", "containernetworking-plugins", "iproute2"],
  );
  if (missing !== undefined) return { skipped: missing };
  const programs = kubernetesPrograms();
  if ("skipped" in programs) return programs;
  const folder = mkdtempSync(join(tmpdir(), "espalier-kubernetes-"));
  const [apiPort, etcdPort, peerPort, schedulerPort, kubeletPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const token = randomBytes(24).toString("hex");
  const endpoint = `https://127.0.0.1:${apiPort}`;
  const file = (name: string): string => join(folder, name);
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(file("sa.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(file("sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
  writeFileSync(file("tokens.csv"), `${token},admin,admin,"system:masters"\n`);
  writeFileSync(file("kubeconfig"), kubeconfigText(endpoint, token));
  writeFileSync(file("containerd.toml"), containerdText(folder));
  mkdirSync(file("cni"));
  writeFileSync(file("cni/10-bridge.conflist"), JSON.stringify(networkOf()));
  writeFileSync(file("kubelet.json"), JSON.stringify(kubeletConfiguration(folder, kubeletPort)));
  spawnSync("ip", ["address", "add", `${nodeAddress}/32`, "dev", "lo"]);

  const started: { name: string; child: ChildProcess }[] = [];
  const start = (program: string, ...words: string[]): void => {
    const name = program.split("/").at(-1) ?? program;
    const log = openSync(file(`${name}.log`), "a");
    started.push({ name, child: spawn(program, words, { cwd: folder, stdio: ["ignore", log, log] }) });
    closeSync(log);
  };
  const killWithUs = (): void => {
    for (const { child } of started) child.kill("SIGKILL");
  };
  process.once("exit", killWithUs);
  const own = (name: string): string => join(programs.bin, name);
  const containers = (...words: string[]) =>
    spawnSync("ctr", ["-a", file("containerd.sock"), "-n", "k8s.io", ...words], { encoding: "utf8" });

  async function stop(): Promise<void> {
    process.removeListener("exit", killWithUs);
    // The kubelet first, or it would start again what is ended here.
    for (const { name, child } of started.toReversed()) {
      if (name !== "containerd") await end(child);
    }
    for (const task of containers("tasks", "list", "-q").stdout.split("\n").filter(Boolean)) {
      containers("tasks", "delete", "--force", task);
    }
    for (const { child } of started) await end(child);
    spawnSync("ip", ["address", "delete", `${nodeAddress}/32`, "dev", "lo"]);
    for (const path of mountsBelow(folder)) spawnSync("umount", ["-l", path]);
    rmSync(folder, { recursive: true, force: true });
  }
  const failed = async (): Promise<{ skipped: string }> => {
    const words = started.map(({ name }) => `${name}: ${lastLine(file(`${name}.log`))}`).join("; ");
    await stop();
    return { skipped: `Kubernetes did not start: ${words}` };
  };

  const etcd = `http://127.0.0.1:${etcdPort}`;
  const kubeconfig = `--kubeconfig=${file("kubeconfig")}`;
  start(
    own("etcd"),
    ...["--data-dir=etcd", `--listen-client-urls=${etcd}`, `--advertise-client-urls=${etcd}`],
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
  );
  start("containerd", "-c", file("containerd.toml"));
  start(
    own("kube-apiserver"),
    ...[`--etcd-servers=${etcd}`, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"],
    ...[`--secure-port=${apiPort}`, `--cert-dir=${file("certificates")}`, `--token-auth-file=${file("tokens.csv")}`],
    ...["--service-account-issuer=https://kubernetes.default.svc", `--service-account-key-file=${file("sa.pub")}`],
    ...[`--service-account-signing-key-file=${file("sa.key")}`, "--authorization-mode=RBAC"],
    ...["--service-cluster-ip-range=10.96.0.0/24", "--endpoint-reconciler-type=none"],
    "--kubelet-preferred-address-types=InternalIP",
  );
  if (!(await until(async () => (await get(`${endpoint}/readyz`, token)) === "ok", 60_000))) return failed();
  start(
    own("kube-controller-manager"),
    ...[kubeconfig, `--service-account-private-key-file=${file("sa.key")}`, "--use-service-account-credentials"],
    ...[`--root-ca-file=${file("certificates/apiserver.crt")}`, "--secure-port=0", "--leader-elect=false"],
  );
  start(
    own("kube-scheduler"),
    ...[kubeconfig, "--leader-elect=false", `--secure-port=${schedulerPort}`, "--bind-address=127.0.0.1"],
  );
  if (!(await until(async () => containers("version").status === 0, 30_000))) return failed();
  mkdirSync(file("images"));
  importImages(file("images"), (archive) => containers("images", "import", archive));
  start(
    own("kubelet"),
    ...[kubeconfig, `--config=${file("kubelet.json")}`, `--root-dir=${file("kubelet")}`],
    ...[`--cert-dir=${file("kubelet/pki")}`, "--hostname-override=node-1", `--node-ip=${nodeAddress}`],
  );
  const accounts = `${endpoint}/api/v1/namespaces/default/serviceaccounts/default`;
  const ready = async (): Promise<boolean> => {
    const nodes = await get(`${endpoint}/api/v1/nodes`, token);
    return /"type":\s*"Ready",\s*"status":\s*"True"/.test(nodes) && (await get(accounts, token)).includes('"uid"');
  };
  if (!(await until(ready, 60_000))) return failed();
  return { kubeconfig: file("kubeconfig"), endpoint, token, version: kubernetesVersion, image: pythonImage, stop };
}

function kubeconfigText(server: string, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    clusters: [{ name: "test", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "test", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test", namespace: "default" } }],
  });
}

/** `native` copies layers: overlays on an overlay do not work on every machine. */
const containerdText = (folder: string): string => `version = 2
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
[grpc]
  address = "${folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`;

const networkOf = (): object => ({
  cniVersion: "0.4.0",
  name: "espalier",
  plugins: [
    {
      type: "bridge",
      bridge: "espalier0",
      isGateway: true,
      ipam: { type: "host-local", ranges: [[{ subnet: "198.18.35.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] },
    },
    { type: "loopback" },
  ],
});

/** Works with cgroups of the first version too (1.35 no more), and where the kubelet may not make groups of its own. */
const kubeletConfiguration = (folder: string, port: number): object => ({
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  address: nodeAddress,
  port,
  healthzPort: 0,
  readOnlyPort: 0,
  authentication: { anonymous: { enabled: true } },
  authorization: { mode: "AlwaysAllow" },
  cgroupDriver: "cgroupfs",
  cgroupsPerQOS: false,
  enforceNodeAllocatable: [],
  oomScoreAdj: 0,
  failSwapOn: false,
  failCgroupV1: false,
  containerRuntimeEndpoint: `unix://${folder}/containerd.sock`,
  volumePluginDir: `${folder}/kubelet/plugins`,
  evictionHard: { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
});

function get(url: string, token: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { headers: { authorization: `Bearer ${token}` }, rejectUnauthorized: false };
    request(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    })
      .on("error", () => resolve(""))
      .end();
  });
}

async function until(condition: () => Promise<boolean>, milliseconds: number): Promise<boolean> {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await pause(300)) {
    if (await condition()) return true;
  }
  return false;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await exited;
  clearTimeout(force);
}

/** The deepest first. */
const mountsBelow = (folder: string): string[] =>
  readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);

function lastLine(path: string): string {
  return readFileSync(path, "utf8").trim().split("\n").at(-1)?.slice(0, 300) ?? "";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cluster = await startKubernetes();
  if ("skipped" in cluster) {
    process.stderr.write(`${cluster.skipped}\n`);
    process.exit(3);
  }
  process.stdout.write(`KUBECONFIG=${cluster.kubeconfig}\nIMAGE=${cluster.image}\n`);
  process.once("SIGINT", () => void cluster.stop());
  process.once("SIGTERM", () => void cluster.stop());
}
