import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "../main.ts");
const cases = join(import.meta.dirname, "../../../../docs/choosing");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-advise-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function espalier(...given: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...given], { cwd: folder, timeout: 120_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const valid = `people: [{ name: Ada, skills: { python: 2 } }]
hours_a_month: 4
work: { data_gigabytes: 5, training_hours: 1, serving: none }
`;

describe("espalier advise", () => {
  it("tells every fault of the answers by its place, and what was meant", async () => {
    await writeFile(
      join(folder, "faulty.yaml"),
      valid.replace("python: 2", "kubernetse: 2").replace("hours_a_month: 4", "hours_a_month: many\nhour: 1"),
    );
    const { code, err } = await espalier("advise", "--from", "faulty.yaml");
    expect(code).toBe(2);
    expect(err).toContain("faulty.yaml:1:");
    expect(err).toContain('there is no skill "kubernetse"');
    expect(err).toContain("faulty.yaml:2:1");
    expect(err).toContain("faulty.yaml:3:1");
  });

  it("names both places of bounds that exclude each other", async () => {
    await writeFile(join(folder, "torn.yaml"), `${valid}bounds: { air_gapped: true, providers: [aws] }\n`);
    const { code, out } = await espalier("advise", "--from", "torn.yaml", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out).error).toMatchObject({ code: "INVALID_INPUT", at: "bounds.air_gapped, bounds.providers" });
  });

  it("refuses names that no stack can have, and days that are none, before anything is written", async () => {
    await writeFile(join(folder, "good.yaml"), valid);
    for (const name of ["../x", "", "a b", "__proto__"]) {
      const { code, out } = await espalier("advise", "--from", "good.yaml", "--json", "--write", name);
      expect([code, JSON.parse(out).error.at]).toEqual([2, "--write"]);
    }
    const { code, out } = await espalier("advise", "--from", "good.yaml", "--json", "--today", "2026-02-31");
    expect([code, JSON.parse(out).error.at]).toEqual([2, "--today"]);
  });

  it("says how to give answers when there are none", async () => {
    const { code, err } = await espalier("advise");
    expect(code).toBe(6);
    expect(err).toContain("--from");
  });

  it("writes the stack and a decision, refuses to overwrite, and reviews the forecast against the record", async () => {
    await writeFile(
      join(folder, "espalier.yaml"),
      "# kept\nproject: advised-project\ndefault_stack: laptop\nstacks:\n  laptop: {}\n",
    );
    await cp(join(cases, "five-terabytes.yaml"), join(folder, "advice.yaml"));
    const first = await espalier("advise", "--write", "servers", "--record", "--today", "2026-11-27", "--json");
    expect(first).toMatchObject({ code: 0, err: "" });
    const project = await readFile(join(folder, "espalier.yaml"), "utf8");
    expect(project).toContain("# kept");
    expect(project).toMatch(/servers:\n {4}artifacts:\n {6}uses: s3/);
    const again = await espalier("advise", "--write", "servers");
    expect(again.code).not.toBe(0);
    expect(again.err).toContain('has a stack "servers" already');
    const record = await readFile(join(folder, "docs/decisions/2026-11-27-tools.md"), "utf8");
    expect(record).toContain("5000 GB do not fit on the 500 GB");
    const review = await espalier("advise", "--review", "--json");
    expect(review).toMatchObject({ code: 0, err: "" });
    const { lines } = JSON.parse(review.out) as { lines: { what: string; verdict: string; recorded: string }[] };
    expect(lines).toContainEqual(expect.objectContaining({ what: "runs a month", verdict: "too early" }));
    expect(lines).toContainEqual(
      expect.objectContaining({ what: "artifacts", forecast: "s3", recorded: "filesystem", verdict: "differs" }),
    );
    await writeFile(join(folder, "no-forecast.md"), "# nothing\n");
    expect((await espalier("advise", "--review", "no-forecast.md")).err).toContain("holds no forecast");
  });

  it("looks at what runs already, and at nothing that is something else", async () => {
    await writeFile(join(folder, "kubeconfig"), "apiVersion: v1\nkind: Config\ncontexts: [{ name: house }]\n");
    await writeFile(
      join(folder, "terraform.tfstate"),
      JSON.stringify({ version: 4, terraform_version: "1.9.0", resources: [{ type: "aws_s3_bucket" }] }),
    );
    const server = createServer((request, response) => {
      if (request.url === "/api/v2/version") response.end('{"version":"3.3.2"}');
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const looked = await espalier(
      "advise",
      "--look",
      "kubeconfig",
      "--look",
      "terraform.tfstate",
      "--look",
      address,
      "--json",
    );
    server.close();
    expect(JSON.parse(looked.out)).toMatchObject({
      found: [
        { told: "a kubeconfig with 1 contexts: house" },
        { told: "a Terraform state with 1 resources, 1 of aws" },
        { told: "Airflow 3.3.2" },
      ],
      running: [
        { milestone: 5, tool: "kubernetes" },
        { milestone: 1, tool: "s3", provider: "aws" },
        { milestone: 4, tool: "airflow" },
      ],
    });
    const away = await espalier("advise", "--look", address);
    expect(away.code).not.toBe(0);
    expect(away.err).toContain("does not answer");
    expect((await espalier("advise", "--look", "espalier.yaml")).err).toContain(
      "neither a kubeconfig nor a Terraform state",
    );
  });
});
