import { createHash } from "node:crypto";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@espalier/contract";
import { expect, test } from "vitest";
import { createUrlSigner } from "../http/url-signer.ts";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

test("datasets are logged, described, compared and checked out", async () => {
  const project = await makeProject({ "data/a.csv": "id,city\n1,north\n2,south\n", "docs/one.txt": "one" });
  const { client } = await startForTest(project);
  const log = (name: string, path: string) => client.call("datasets.log", { body: { name, path } });
  expect(await log("rows", "data/a.csv")).toMatchObject({ version: 1, created: true, rows: 2 });
  expect(await log("rows", "./data/a.csv")).toMatchObject({ version: 1, created: false });
  await writeFile(join(project, "data/a.csv"), "id,city,late\n1,north,true\n2,west,false\n3,east,true\n");
  expect(await log("rows", "data/a.csv")).toMatchObject({ version: 2, rows: 3 });
  const diff = await client.call("datasets.diff", { params: { name: "rows" }, query: { from: 1, to: 2, key: "id" } });
  expect(diff).toMatchObject({
    identical: false,
    rows: { from: 2, to: 3 },
    keyed: { added: 1, removed: 0, changed: 1 },
  });
  expect(diff.columns.find((column) => column.name === "late")?.change).toBe("added");
  const params = { name: "rows", version: "1" };
  await client.call("datasets.checkout", { params, body: { path: "old.csv" } });
  expect(await readFile(join(project, "old.csv"), "utf8")).toBe("id,city\n1,north\n2,south\n");
  const again = client.call("datasets.checkout", { params, body: { path: "old.csv" } });
  await expect(again).rejects.toMatchObject({ code: "ALREADY_EXISTS" });

  await log("folder", "docs");
  await writeFile(join(project, "docs/two.txt"), "two");
  await log("folder", "docs");
  const folders = await client.call("datasets.diff", { params: { name: "folder" }, query: { from: 1, to: 2 } });
  expect(folders.files).toEqual({ added: ["two.txt"], removed: [], changed: [] });
});

test("no path of a client leaves the project", async () => {
  const project = await makeProject({ "data/a.csv": "x\n" });
  const { client } = await startForTest(project);
  for (const path of ["../secrets", "/etc/passwd", "data/../../x"]) {
    await expect(client.call("datasets.log", { body: { name: "n", path } }), path).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  }
  await client.call("datasets.log", { body: { name: "n", path: "data/a.csv" } });
  const outside = await makeProject({});
  await symlink(outside, join(project, "link"));
  await expect(
    client.call("datasets.checkout", { params: { name: "n", version: "1" }, body: { path: "link/a.csv" } }),
  ).rejects.toMatchObject({ code: "INVALID_INPUT" });
});

test("secrets reach the step that declares them, and neither its log nor any answer", async () => {
  const { client } = await startForTest(
    await makeProject({
      "pipelines/call.yaml": `
name: call
steps:
  call: { run: 'echo "the key is $API_KEY"; test "$API_KEY" = swordfish-42', secrets: [API_KEY] }
`,
    }),
  );
  await client.call("secrets.set", { params: { name: "API_KEY" }, body: { value: "swordfish-42" } });
  expect((await client.call("secrets.list")).items).toContainEqual({ name: "API_KEY" });
  const { id } = await client.call("runs.create", { body: { pipeline: "call" } });
  await runToEnd(client, id);
  expect((await client.call("runs.get", { params: { runId: id } })).run.state).toBe("succeeded");
  const log = await client.call("logs.get", { params: { runId: id, step: "call" } });
  expect(log.text).toBe("the key is ************\n");
  expect(JSON.stringify(await client.call("audit.list"))).not.toContain("swordfish");
  await client.call("secrets.delete", { params: { name: "API_KEY" } });
  expect((await client.call("secrets.list")).items).not.toContainEqual({ name: "API_KEY" });
});

test("tokens have roles, and end when they are revoked", async () => {
  const { client, url } = await startForTest(await makeProject({}));
  const { id, token } = await client.call("tokens.create", { body: { name: "ci", role: "viewer" } });
  expect(JSON.stringify(await client.call("tokens.list"))).not.toContain(token);
  const viewer = createClient({ url, token });
  await viewer.call("runs.list");
  await expect(viewer.call("runs.create", { body: { pipeline: "x" } })).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
  });
  await client.call("tokens.revoke", { params: { tokenId: id } });
  await expect(viewer.call("runs.list")).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

test("signed URLs take and give exactly the bytes they were made for, until they expire", () => {
  let now = 1_000_000;
  const signer = createUrlSigner(
    () => "http://127.0.0.1:1",
    Buffer.alloc(32, 1),
    () => now,
  );
  const url = new URL(signer.sign("blobs/aa/bb", "PUT", { expiresSeconds: 60, checksum: "c".repeat(64) }));
  const query = {
    expires: Number(url.searchParams.get("expires")),
    signature: url.searchParams.get("signature") ?? "",
    checksum: url.searchParams.get("checksum") ?? "",
  };
  signer.verify("blobs/aa/bb", "PUT", query);
  expect(() => signer.verify("blobs/aa/bc", "PUT", query)).toThrow(/not ours/);
  expect(() => signer.verify("blobs/aa/bb", "GET", query)).toThrow(/not ours/);
  expect(() => signer.verify("blobs/aa/bb", "PUT", { ...query, checksum: "d".repeat(64) })).toThrow(/not ours/);
  expect(() => signer.verify("blobs/aa/bb", "PUT", { ...query, expires: query.expires + 1 })).toThrow(/not ours/);
  now += 61_000;
  expect(() => signer.verify("blobs/aa/bb", "PUT", query)).toThrow(/expired/);
});

test("a forged or missing signature opens no blob", async () => {
  const { url } = await startForTest(await makeProject({}));
  const checksum = createHash("sha256").update("x").digest("hex");
  const put = await fetch(`${url}/api/v1/blobs/blobs/aa/bb?expires=9999999999&checksum=${checksum}&signature=00`, {
    method: "PUT",
    headers: { "content-type": "application/octet-stream" },
    body: "x",
  });
  expect(put.status).toBe(403);
  expect((await fetch(`${url}/api/v1/blobs/espalier-store.json`)).status).toBe(400);
});

test("garbage is previewed, then swept; what the record refers to stays", async () => {
  const project = await makeProject({ "data/a.txt": "kept" });
  const { client } = await startForTest(project);
  const kept = await client.call("datasets.log", { body: { name: "kept", path: "data/a.txt" } });
  expect((await client.call("gc.preview", {})).unreferenced.blobs).toBe(0);
  await writeFile(join(project, "data/a.txt"), "a pipeline's input that no run has ever used");
  await client.call("plan.make", { body: { pipeline: "none" } }).catch(() => undefined);
  const swept = await client.call("gc.sweep", {});
  expect(swept.deleted.blobs).toBe(0);
  const bytes = await client.bytes("artifacts.download", {
    params: { digest: kept.artifact.digest },
    query: { type: "file" },
  });
  expect(await new Response(bytes).text()).toBe("kept");
});
