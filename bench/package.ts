import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { packagingProject } from "../scenarios/packaging/project.ts";
import { startDockerRegistry } from "../scripts/servers/docker-registry.ts";

/**
 * `npm run bench:package`: seconds of `espalier package` from its start to its end, into a folder and into a docker-registry of this machine: the
 * first image, another version of the model, and the same again. Prints; asserts nothing.
 */
const repeats = 3;

interface Measured {
  what: string;
  seconds: number;
  sentMegabytes: number;
}

async function seconds(work: () => Promise<{ sentBytes: number }>): Promise<[number, number]> {
  const started = process.hrtime.bigint();
  const { sentBytes } = await work();
  return [Number(process.hrtime.bigint() - started) / 1e9, sentBytes / 1e6];
}

/** Each round has a place of its own, so that the first image of a round is a first one. */
async function measure(
  what: string,
  pack: (version: number, round: number) => Promise<{ sentBytes: number }>,
): Promise<Measured[]> {
  const rows: Measured[] = [];
  for (const [name, version] of [
    ["first image", 1],
    ["only the model changed", 2],
    ["nothing changed", 2],
  ] as const) {
    const times: [number, number][] = [];
    for (let round = 0; round < repeats; round += 1) times.push(await seconds(() => pack(version, round)));
    times.sort(([a], [b]) => a - b);
    const [middle = 0, sent = 0] = times[Math.floor(repeats / 2)] ?? [];
    rows.push({ what: `${what}: ${name}`, seconds: middle, sentMegabytes: sent });
  }
  return rows;
}

const project = await packagingProject();
const registry = await startDockerRegistry();
try {
  // Bundling the model server, once a control plane, is part of the first round of the first image and of no other.
  const rows = await measure("folder", (version, round) =>
    project.pack([`clicks@${version}`, "--output", `images-${round}`]),
  );
  if ("skipped" in registry) console.log(`no registry: ${registry.skipped}`);
  else {
    const account = { ESPALIER_REGISTRY_USERNAME: registry.username, ESPALIER_REGISTRY_PASSWORD: registry.password };
    rows.push(
      ...(await measure("registry", (version, round) =>
        project.pack([`clicks@${version}`, "--push", `${registry.registry}/round-${round}/clicks`], account),
      )),
    );
  }
  console.log(
    `espalier package, ${cpus().length} x ${cpus()[0]?.model ?? "?"}, Node ${process.versions.node}, median of ${repeats}`,
  );
  const version = spawnSync("docker-registry", ["--version"], { encoding: "utf8" }).stdout;
  if (!("skipped" in registry)) console.log(version.trim());
  for (const { what, seconds: middle, sentMegabytes } of rows) {
    console.log(
      `${what.padEnd(36)} ${middle.toFixed(2).padStart(7)} s ${sentMegabytes.toFixed(1).padStart(8)} MB sent`,
    );
  }
} finally {
  await project.close();
  if (!("skipped" in registry)) await registry.stop();
}
