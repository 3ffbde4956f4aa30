import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PackagingProject, type Packed, packagingProject } from "./project.ts";

/** Set by `npm run test:servers -- packages`: a docker-registry with a password, Podman and skopeo. */
const {
  ESPALIER_TEST_REGISTRY: registry = "",
  ESPALIER_TEST_REGISTRY_USERNAME: username = "",
  ESPALIER_TEST_REGISTRY_PASSWORD: password = "",
  ESPALIER_TEST_REGISTRY_FOLDER: registryFolder = "",
  ESPALIER_TEST_PODMAN: podman,
  ESPALIER_TEST_PODMAN_SKIPPED: podmanSkipped,
  ESPALIER_TEST_COSIGN: cosign,
  ESPALIER_TEST_COSIGN_SKIPPED: cosignSkipped,
} = process.env;
const account = { ESPALIER_REGISTRY_USERNAME: username, ESPALIER_REGISTRY_PASSWORD: password };
const environment = { ...process.env, ...(JSON.parse(podman ?? "{}") as Record<string, string>) };

const noRegistry = registry === "" ? " (skipped: npm run test:servers -- packages starts one)" : "";
const noPodman =
  podman === undefined ? ` (skipped: ${podmanSkipped ?? "npm run test:servers -- packages prepares it"})` : "";
const noCosign =
  cosign === undefined ? ` (skipped: ${cosignSkipped ?? "npm run test:servers -- packages finds it"})` : "";

interface Predicted {
  predictions?: number[];
  model_version?: string;
  outputs?: { data: number[] }[];
}

let project: PackagingProject;
let pushed: Packed;
let key: string;

/** As `podman login` writes it, where the control plane looks. */
function signIn(): string {
  const file = join(project.folder, "auth.json");
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  writeFileSync(file, JSON.stringify({ auths: { [registry]: { auth } } }));
  return file;
}

function run(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, {
    env: environment,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")} ended with ${status}: ${stderr}`);
  return stdout.trim();
}

describe.skipIf(registry === "")(`an image in a registry${noRegistry}`, () => {
  beforeAll(async () => {
    project = await packagingProject();
    key = join(project.folder, "key.pem");
    execFileSync("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]);
    pushed = await project.pack(["clicks@1", "--push", `${registry}/team/clicks`, "--sign", key], account);
    if (podman !== undefined) run("podman", "login", "--tls-verify=false", "-u", username, "-p", password, registry);
  });
  afterAll(() => project?.close());

  test("is pushed once, and of another version only its model", async () => {
    expect(pushed.image).toBe(`${registry}/team/clicks:1@${pushed.digest}`);
    const again = await project.pack(["clicks@1", "--push", `${registry}/team/clicks`], account);
    expect([again.digest, again.sentBytes]).toEqual([pushed.digest, 0]);
    const second = await project.pack(["clicks@2", "--push", `${registry}/team/clicks:newest`], account);
    expect(second.sentBytes).toBe(second.layers.at(-1)?.bytes);
    const { out } = await project.espalier(["model", "show", "clicks", "--json"]);
    const versions = JSON.parse(out).versions as { version: number; tags: Record<string, string> }[];
    expect(versions.find(({ version }) => version === 2)?.tags["espalier.image"]).toBe(second.image);
  });

  test("is pushed with what podman has signed in with, and not without", async () => {
    const words = ["package", "clicks@1", "--push", `${registry}/team/clicks`];
    const nobody = await project.espalier(words);
    expect([nobody.code, nobody.err]).toEqual([4, expect.stringContaining(`podman login ${registry}`)]);
    const wrong = await project.espalier(words, { ...account, ESPALIER_REGISTRY_PASSWORD: "wrong" });
    expect(wrong.code).toBe(4);
    const file = signIn();
    expect((await project.espalier(words)).code).toBe(0);
    rmSync(file);
  });

  test("is the base of another, whose layers the registry takes from there", async () => {
    const upon = await project.pack(
      ["clicks@2", "--push", `${registry}/other/upon:1`, "--base", `${registry}/team/clicks@${pushed.digest}`],
      account,
    );
    expect(upon.layers.slice(0, 5).map(({ digest }) => digest)).toEqual(pushed.layers.map(({ digest }) => digest));
    // Node and onnxruntime stand in both repositories of one registry; nothing of the base is sent.
    expect(upon.sentBytes).toBeLessThan(pushed.layers.reduce((sum, { bytes }) => sum + bytes, 0));
    const missing = await project.espalier(
      ["package", "clicks@2", "--push", `${registry}/other/upon:1`, "--base", `${registry}/team/nothing:1`],
      account,
    );
    expect([missing.code, missing.err]).toEqual([
      6,
      expect.stringMatching(/no base image .*team\/nothing.*skopeo list-tags/s),
    ]);
  });

  describe.skipIf(podman === undefined)(`with the tools of others${noPodman}`, () => {
    test("skopeo reads it, and copies it with what refers to it by tag", () => {
      const name = `docker://${registry}/team/clicks`;
      const inspected = JSON.parse(run("skopeo", "inspect", "--tls-verify=false", `${name}:1`));
      expect(inspected).toMatchObject({
        Digest: pushed.digest,
        Os: "linux",
        Layers: pushed.layers.map(({ digest }) => digest),
      });
      const copy = join(project.folder, "copy");
      run("skopeo", "copy", "--preserve-digests", "--src-tls-verify=false", `${name}:1`, `oci:${copy}:1`);
      expect(readFileSync(join(copy, "index.json"), "utf8")).toContain(pushed.digest);
      const signatures = `${name}:sha256-${pushed.digest.slice(7)}.sig`;
      expect(JSON.parse(run("skopeo", "inspect", "--raw", "--tls-verify=false", signatures)).layers).toHaveLength(1);
      const referrers = `${name}:${pushed.digest.replace(":", "-")}`;
      const found = JSON.parse(run("skopeo", "inspect", "--raw", "--tls-verify=false", referrers));
      const types = found.manifests.map(({ artifactType }: { artifactType: string }) => artifactType);
      expect(types).toEqual(expect.arrayContaining(["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]));
    });

    for (const [title, flags, words] of [
      ["as the user of the image", [], []],
      [
        "as root with a file system that can not be written and an argument, as SageMaker does",
        ["--user=0:0", "--read-only"],
        ["serve"],
      ],
    ] as const) {
      test(`Podman runs it ${title}, and it answers every protocol`, async () => {
        const port = await freePort();
        const id = run(
          "podman",
          "run",
          "--detach",
          "--tls-verify=false",
          `--publish=127.0.0.1:${port}:8080`,
          ...flags,
          `${registry}/team/clicks:1`,
          ...words,
        );
        try {
          const url = `http://127.0.0.1:${port}`;
          await ready(`${url}/ping`, id);
          const post = async (path: string, body: object): Promise<Predicted> => {
            const headers = { "content-type": "application/json" };
            const response = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
            return (await response.json()) as Predicted;
          };
          const score = 0.5;
          const rows = { dataframe_split: { columns: ["x0", "x1"], data: [[1, 1]] } };
          expect((await post("/invocations", rows)).predictions?.[0]).toBeCloseTo(score, 5);
          const tensor = { name: "x0", datatype: "FP32", shape: [1], data: [1] };
          const { model_version, outputs } = await post("/v2/models/clicks/infer", {
            inputs: [tensor, { ...tensor, name: "x1" }],
          });
          expect(model_version).toBe("1");
          expect(outputs?.[0]?.data[0]).toBeCloseTo(score, 5);
          expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
          run("podman", "stop", "--time", "20", id);
          expect(run("podman", "inspect", "--format", "{{.State.ExitCode}}", id)).toBe("0");
        } finally {
          run("podman", "rm", "--force", "--time", "0", id);
        }
      });
    }

    test("Podman refuses a layer that was changed in the registry, and so do we", async () => {
      const tampered = await project.pack(["clicks@2", "--push", `${registry}/tampered/clicks:1`], account);
      const hex = tampered.layers.at(-1)?.digest.slice(7) ?? "";
      const path = join(registryFolder, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
      const right = readFileSync(path);
      try {
        const wrong = Buffer.from(right);
        wrong.write("another", 1024);
        writeFileSync(path, wrong);
        run("podman", "rmi", "--all", "--force");
        const pulled = spawnSync("podman", ["pull", "--tls-verify=false", `${registry}/tampered/clicks:1`], {
          env: environment,
        });
        expect(pulled.status).not.toBe(0);
        const base = `${registry}/tampered/clicks:1`;
        const ours = await project.espalier(["package", "clicks@1", "--output", "untouched", "--base", base], account);
        expect(ours.code).toBe(4);
        signIn();
        const signedIn = await project.espalier(["package", "clicks@1", "--output", "untouched", "--base", base]);
        expect([signedIn.code, signedIn.err]).toEqual([8, expect.stringContaining("damaged, or was changed")]);
      } finally {
        writeFileSync(path, right);
      }
    });
  });

  test.skipIf(cosign === undefined)(
    `cosign verifies the image and what is said of it by the public key${noCosign}`,
    () => {
      const publicKey = join(project.folder, "key.pub");
      execFileSync("openssl", ["ec", "-in", key, "-pubout", "-out", publicKey], { stdio: "ignore" });
      const home = join(project.folder, "cosign-home");
      mkdirSync(join(home, ".docker"), { recursive: true });
      const auth = Buffer.from(`${username}:${password}`).toString("base64");
      writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ auths: { [registry]: { auth } } }));
      chmodSync(home, 0o700);
      const verify = (...words: string[]) =>
        spawnSync(
          cosign ?? "",
          [
            ...words,
            "--insecure-ignore-tlog=true",
            "--allow-insecure-registry",
            "--allow-http-registry",
            `${registry}/team/clicks@${pushed.digest}`,
          ],
          {
            env: { ...process.env, HOME: home, DOCKER_CONFIG: join(home, ".docker") },
            encoding: "utf8",
          },
        );
      const image = verify("verify", "--key", publicKey);
      expect([image.status, image.stderr]).toEqual([0, expect.stringContaining("signatures were verified")]);
      expect(JSON.parse(image.stdout)[0].critical.image["docker-manifest-digest"]).toBe(pushed.digest);
      for (const type of ["https://slsa.dev/provenance/v1", "https://cyclonedx.org/bom"]) {
        const attested = verify("verify-attestation", "--key", publicKey, "--type", type);
        expect([type, attested.status, attested.stderr]).toEqual([
          type,
          0,
          expect.stringContaining("signatures were verified"),
        ]);
      }
      const other = join(project.folder, "other.pem");
      execFileSync("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", other]);
      execFileSync("openssl", ["ec", "-in", other, "-pubout", "-out", publicKey], { stdio: "ignore" });
      expect(verify("verify", "--key", publicKey).status).not.toBe(0);
      rmSync(home, { recursive: true });
      expect(existsSync(home)).toBe(false);
    },
  );
});

async function ready(url: string, id: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await pause(100)) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.status === 200) return;
  }
  throw new Error(`It did not get ready: ${run("podman", "logs", id)}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("No free port");
  return address.port;
}
