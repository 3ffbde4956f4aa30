import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

export const kubernetesVersion = "1.34.4";
const etcdVersion = "3.6.4";

const cache = resolve(
  import.meta.dirname,
  `../../../node_modules/.cache/espalier-servers/kubernetes-${kubernetesVersion}`,
);
const commands = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];

/** Kubernetes' own modules within its repository, which its go.mod replaces by folders: here by their published versions. */
const staging = [
  ...["api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go", "cloud-provider"],
  ...["cluster-bootstrap", "code-generator", "component-base", "component-helpers", "controller-manager", "cri-api"],
  ...["cri-client", "csi-translation-lib", "dynamic-resource-allocation", "endpointslice", "externaljwt", "kms"],
  ...["kube-aggregator", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet", "metrics"],
  ...["mount-utils", "pod-security-admission", "sample-apiserver", "sample-cli-plugin", "sample-controller"],
];

/** Builds a control plane and a kubelet once with Go, some 15 minutes on two cores; the reason when that is not possible. */
export function kubernetesPrograms(): { bin: string } | { skipped: string } {
  const bin = join(cache, "bin");
  if ([...commands, "etcd"].every((command) => existsSync(join(bin, command)))) return { bin };
  if (spawnSync("go", ["version"]).status !== 0)
    return { skipped: "Go is not installed, and Kubernetes is built with it" };
  process.stderr.write(`building Kubernetes ${kubernetesVersion} (once, about 15 minutes)\n`);
  const sources = join(cache, "src");
  const etcd = join(cache, "etcd");
  for (const folder of [bin, sources, etcd]) mkdirSync(folder, { recursive: true });
  const go = (cwd: string, ...words: string[]): void => {
    const done = spawnSync("go", words, { cwd, encoding: "utf8" });
    if (done.status !== 0) throw new Error(`go ${words[0]}: ${done.stderr.trim().split("\n").at(-1)}`);
  };
  try {
    if (!existsSync(join(sources, "go.mod"))) go(sources, "mod", "init", "kubernetes-servers");
    const replaced = `v0.${kubernetesVersion.split(".").slice(1).join(".")}`;
    go(sources, "mod", "edit", ...staging.map((name) => `-replace=k8s.io/${name}=k8s.io/${name}@${replaced}`));
    go(sources, "get", ...commands.map((command) => `k8s.io/kubernetes/cmd/${command}@v${kubernetesVersion}`));
    const [major, minor] = kubernetesVersion.split(".");
    const set = (name: string, value: string): string => `-X k8s.io/component-base/version.${name}=${value}`;
    const flags = `-s -w ${set("gitVersion", `v${kubernetesVersion}`)} ${set("gitMajor", major ?? "")} ${set("gitMinor", minor ?? "")}`;
    for (const command of commands) {
      if (existsSync(join(bin, command))) continue;
      go(
        sources,
        "build",
        "-trimpath",
        "-ldflags",
        flags,
        "-o",
        join(bin, command),
        `k8s.io/kubernetes/cmd/${command}`,
      );
    }
    if (!existsSync(join(etcd, "go.mod"))) go(etcd, "mod", "init", "etcd-server");
    go(etcd, "get", `go.etcd.io/etcd/server/v3@v${etcdVersion}`);
    go(etcd, "build", "-o", join(bin, "etcd"), "go.etcd.io/etcd/server/v3");
  } catch (error) {
    return { skipped: `Kubernetes can not be built here: ${error instanceof Error ? error.message : error}` };
  }
  return { bin };
}
