import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Deployer, digestOfBytes, type EndpointSpec, type ServedVersion } from "@espalier/core";
import { logisticModel, matrixSignature, writeModelFolder } from "./onnx-model.ts";
import { caseRunner, codeOf, type Skips, type TestRunner } from "./suite.ts";

export interface DeployerSubject {
  open(): Promise<{ deployer: Deployer; close(): Promise<void> }>;
  skips?: Skips;
}

interface Scene {
  deployer: Deployer;
  version(number: number, weight: number): Promise<ServedVersion>;
  /** A version whose payload no runtime can load. */
  broken(number: number, weight: number): Promise<ServedVersion>;
}

const endpoint = "conformance";

const spec = (generation: number, versions: ServedVersion[]): EndpointSpec => ({
  name: endpoint,
  generation,
  versions,
  captureRate: 0,
  port: 0,
});

/** Version n answers sigmoid(n) for a row of zeros, so that an answer tells which version gave it. */
async function folders(root: string): Promise<Pick<Scene, "version" | "broken">> {
  const served = async (number: number, weight: number, bytes: Uint8Array): Promise<ServedVersion> => ({
    version: String(number),
    model: "tiny",
    digest: digestOfBytes(bytes),
    path: await writeModelFolder(join(root, String(number)), bytes, matrixSignature(["a", "b"])),
    weight,
  });
  return {
    version: (number, weight) => served(number, weight, logisticModel([1, 1], number)),
    broken: (number, weight) => served(number, weight, Buffer.from("this is not ONNX")),
  };
}

interface Answer {
  status: number;
  version: string | null;
  score: number | undefined;
}

async function ask(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${url}/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ instances: [[0, 0]] }),
  });
  const body = (await response.json()) as { predictions?: number[] };
  return {
    status: response.status,
    version: response.headers.get("x-espalier-model-version"),
    score: body.predictions?.[0],
  };
}

/** Waits for what is counted a moment later. */
async function eventually<Value>(look: () => Promise<Value | undefined>): Promise<Value | undefined> {
  for (let tries = 0; tries < 200; tries++) {
    const value = await look();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return undefined;
}

/** Asks without pause from several callers until told to stop; returns every answer. */
function load(url: string, callers: number): { stop(): Promise<Answer[]> } {
  let going = true;
  const answers: Answer[] = [];
  const work = Array.from({ length: callers }, async () => {
    while (going) answers.push(await ask(url));
  });
  return {
    async stop() {
      going = false;
      await Promise.all(work);
      return answers;
    },
  };
}

/** Every deployer that serves over HTTP passes this. */
export function deployerConformance(runner: TestRunner, subject: DeployerSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  const withScene = (name: string, body: (scene: Scene) => Promise<void>): void =>
    it(name, async () => {
      const root = await mkdtemp(join(tmpdir(), "espalier-deployer-"));
      const { deployer, close } = await subject.open();
      try {
        await body({ deployer, ...(await folders(root)) });
      } finally {
        await deployer.delete(endpoint);
        await close();
        await rm(root, { recursive: true, force: true });
      }
    });

  runner.describe("deployer conformance", () => {
    withScene("serves what is applied, and says so", async ({ deployer, version }) => {
      const status = await deployer.apply(spec(1, [await version(1, 1)]));
      expect(status).toMatchObject({ name: endpoint, generation: 1, ready: true });
      expect(status.versions).toMatchObject([{ version: "1", ready: true, requests: 0, errors: 0 }]);
      const answer = await ask(status.url);
      expect(answer).toMatchObject({ status: 200, version: "1" });
      expect(answer.score).toBeCloseTo(1 / (1 + Math.exp(-1)), 5);
      expect((await deployer.status(endpoint))?.versions[0]?.requests).toBe(1);
    });

    withScene("applying again changes nothing, and an older generation is ignored", async ({ deployer, version }) => {
      const wanted = spec(2, [await version(1, 1)]);
      const first = await deployer.apply(wanted);
      const again = await deployer.apply(wanted);
      expect(again.url).toBe(first.url);
      const older = await deployer.apply(spec(1, [await version(2, 1)]));
      expect(older).toMatchObject({ generation: 2, versions: [{ version: "1" }] });
      expect((await ask(first.url)).version).toBe("1");
    });

    withScene("splits traffic by weight", async ({ deployer, version }) => {
      const { url } = await deployer.apply(spec(1, [await version(1, 0.8), await version(2, 0.2)]));
      const answers = await Promise.all(Array.from({ length: 400 }, () => ask(url)));
      const second = answers.filter((answer) => answer.version === "2").length;
      // Eight standard deviations around 80 of 400.
      expect(second).toBeGreaterThan(16);
      expect(second).toBeLessThan(144);
      const counted = (await deployer.status(endpoint))?.versions ?? [];
      expect(counted.map(({ requests }) => requests)).toEqual([400 - second, second]);
    });

    withScene("changes versions under load without a failed request, and back", async ({ deployer, version }) => {
      const one = await version(1, 1);
      const two = await version(2, 1);
      const { url } = await deployer.apply(spec(1, [one]));
      const traffic = load(url, 8);
      try {
        await deployer.apply(
          spec(2, [
            { ...one, weight: 0.5 },
            { ...two, weight: 0.5 },
          ]),
        );
        await deployer.apply(spec(3, [two]));
        expect((await ask(url)).version).toBe("2");
        await deployer.apply(spec(4, [one]));
        expect((await ask(url)).version).toBe("1");
      } finally {
        const answers = await traffic.stop();
        expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
        expect(new Set(answers.map((answer) => answer.version))).toEqual(new Set(["1", "2"]));
      }
    });

    withScene(
      "a version that can not load is refused, and the old one goes on",
      async ({ deployer, version, broken }) => {
        const one = await version(1, 1);
        const { url } = await deployer.apply(spec(1, [one]));
        const bad = await broken(2, 0.5);
        expect(await codeOf(() => deployer.apply(spec(2, [{ ...one, weight: 0.5 }, bad])))).toBe("INVALID_DATA");
        expect(await deployer.status(endpoint)).toMatchObject({ generation: 1, ready: true });
        expect(await ask(url)).toMatchObject({ status: 200, version: "1" });
      },
    );

    withScene(
      "replicas of a version answer together, and more or fewer cost no request",
      async ({ deployer, version }) => {
        const one = await version(1, 1);
        const { url } = await deployer.apply({ ...spec(1, [one]), replicas: 2 });
        expect((await deployer.status(endpoint))?.versions).toMatchObject([{ replicas: { ready: 2, wanted: 2 } }]);
        const traffic = load(url, 4);
        try {
          await deployer.apply({ ...spec(2, [one]), replicas: 3 });
          await deployer.apply({ ...spec(3, [one]), replicas: 1 });
          expect((await deployer.status(endpoint))?.versions).toMatchObject([{ replicas: { ready: 1, wanted: 1 } }]);
        } finally {
          const answers = await traffic.stop();
          expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
        }
      },
    );

    withScene("a shadow is asked too, answers nobody, and is counted apart", async ({ deployer, version }) => {
      const shadow = { ...(await version(2, 0)), mirror: 1 };
      const { url } = await deployer.apply(spec(1, [await version(1, 1), shadow]));
      for (let request = 0; request < 20; request++) expect((await ask(url)).version).toBe("1");
      const seen = await eventually(async () => {
        const found = (await deployer.status(endpoint))?.versions.find((one) => one.version === "2");
        return found?.shadow?.compared === 20 ? found : undefined;
      });
      expect(seen).toMatchObject({ requests: 0, shadow: { mirrored: 20, failed: 0, agreed: 0, numbers: 20 } });
    });

    withScene("a rule sends by header, before the weights", async ({ deployer, version }) => {
      const versions = [await version(1, 1), await version(2, 0)];
      const rules = [{ header: "x-tier", value: "beta", version: "2" }];
      const { url } = await deployer.apply({ ...spec(1, versions), rules });
      expect((await ask(url)).version).toBe("1");
      expect((await ask(url, { "x-tier": "beta" })).version).toBe("2");
      const lost = { ...spec(2, versions.slice(0, 1)), rules };
      expect(await codeOf(() => deployer.apply(lost))).toBe("INVALID_INPUT");
    });

    withScene("refuses weights that do not sum to 1", async ({ deployer, version }) => {
      const one = await version(1, 0.5);
      expect(await codeOf(() => deployer.apply(spec(1, [one])))).toBe("INVALID_INPUT");
      expect(await deployer.status(endpoint)).toBeUndefined();
    });

    withScene("stops what is deleted; deleting it again is success", async ({ deployer, version }) => {
      const { url } = await deployer.apply(spec(1, [await version(1, 1)]));
      await deployer.delete(endpoint);
      expect(await deployer.status(endpoint)).toBeUndefined();
      expect(await codeOf(() => ask(url))).not.toBe("nothing thrown");
      await deployer.delete(endpoint);
    });

    finish();
  });
}
