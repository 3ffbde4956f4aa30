import { join } from "node:path";
import { digestOfBytes } from "@espalier/core";
import { expect, test } from "vitest";
import { makeProject, startForTest } from "../../testing/control-plane.ts";
import { filesBelow, type WireAnswer, wire } from "../artifacts/testing/wire.ts";

const base = "/api/2.0/mlflow-artifacts";
const json = { "content-type": "application/json" };

interface Credential {
  url: string;
  part_number: number;
}

async function start(project?: string) {
  const directory = project ?? (await makeProject({}));
  const plane = await startForTest(directory);
  const post = (path: string, body: object): Promise<WireAnswer> =>
    wire(plane.url, "POST", path, JSON.stringify(body), json);
  const made = await post("/api/2.0/mlflow/runs/create", { experiment_id: "0" });
  return {
    ...plane,
    directory,
    post,
    root: `0/${made.json().run.info.run_id}/artifacts`,
    put: ({ url }: Credential, body: string): Promise<WireAnswer> => {
      const { origin, pathname, search } = new URL(url);
      return wire(origin, "PUT", `${pathname}${search}`, body);
    },
    get: (path: string): Promise<WireAnswer> => wire(plane.url, "GET", path),
    blobs: async () => (await filesBelow(join(directory, ".espalier/store/blobs"))).length,
  };
}

const refused = (answer: WireAnswer): unknown => [answer.status, answer.json().error_code];

test("parts come in any order, again and over a restart, and become one file", async () => {
  const first = await start();
  const { root } = first;
  const created = (
    await first.post(`${base}/mpu/create/${root}/some%20dir`, { path: "/home/me/big.bin", num_parts: 3 })
  ).json();
  expect(created).toEqual({
    upload_id: expect.stringMatching(/^[0-9a-f]{48}$/),
    credentials: [1, 2, 3].map((part_number) => ({
      url: expect.stringMatching(
        `^${first.url}${base}/mpu/parts/[0-9a-f]{48}/${part_number}\\?expires=\\d+&signature=[0-9a-f]{64}$`,
      ),
      part_number,
      headers: {},
    })),
  });
  const [one, two, three] = created.credentials as [Credential, Credential, Credential];
  expect((await first.put(three, "three")).headers.etag).toBe(`"${digestOfBytes(Buffer.from("three"))}"`);
  await first.put(one, "wrong");
  await first.close();

  const second = await start(first.directory);
  const moved = (credential: Credential): Credential => ({
    ...credential,
    url: credential.url.replace(first.url, second.url),
  });
  const etags = await Promise.all([
    second.put(moved(one), "one").then(({ headers }) => headers.etag),
    second.put(moved(two), "two").then(({ headers }) => headers.etag),
  ]);
  const complete = (parts: object[]): Promise<WireAnswer> =>
    second.post(`${base}/mpu/complete/${root}/some%20dir`, {
      path: "C:\\me\\big.bin",
      upload_id: created.upload_id,
      parts,
    });
  const parts = [{ part_number: 1, etag: etags[0], url: "" }, { part_number: 2, etag: etags[1] }, { part_number: 3 }];
  expect(refused(await complete(parts.slice(0, 2)))).toEqual([400, "INVALID_PARAMETER_VALUE"]);
  expect(refused(await complete([{ part_number: 1, etag: '"another"' }, ...parts.slice(1)]))).toEqual([
    400,
    "INVALID_PARAMETER_VALUE",
  ]);
  expect((await second.get(`${base}/artifacts/${root}/some%20dir/big.bin`)).status).toBe(404);
  // Twice at once, and once more later: a client whose request got no answer in time repeats it.
  const answers = await Promise.all([complete(parts), complete(parts)]);
  expect([...answers, await complete(parts)].map((answer) => [answer.status, answer.json()])).toEqual(
    Array(3).fill([200, {}]),
  );
  expect((await second.get(`${base}/artifacts/${root}/some%20dir/big.bin`)).body.toString()).toBe("onetwothree");
  expect(refused(await second.put(moved(one), "one"))).toEqual([409, "RESOURCE_CONFLICT"]);
});

test("an upload of one part, and one of nothing", async () => {
  const { post, put, get, root, blobs } = await start();
  for (const content of ["all of it", ""]) {
    const { upload_id, credentials } = (await post(`${base}/mpu/create/${root}`, { path: "one" })).json();
    const { etag } = (await put(credentials[0], content)).headers;
    const parts = [{ part_number: 1, etag }];
    expect((await post(`${base}/mpu/complete/${root}`, { path: "one", upload_id, parts })).status).toBe(200);
    expect((await get(`${base}/artifacts/${root}/one`)).body.toString()).toBe(content);
  }
  expect(await blobs()).toBe(2);
});

test("an upload that was given up leaves nothing, and takes no more parts", async () => {
  const { post, put, get, root, url, token, blobs } = await start();
  const { upload_id, credentials } = (await post(`${base}/mpu/create/${root}`, { path: "big", num_parts: 2 })).json();
  await put(credentials[0], "one");
  const sweep = async (): Promise<number> => {
    const headers = { ...json, authorization: `Bearer ${token}` };
    return (await wire(url, "POST", "/api/v1/gc", "{}", headers)).json().quarantined.blobs;
  };
  expect(await sweep()).toBe(0);
  for (let time = 0; time < 2; time += 1) {
    expect((await post(`${base}/mpu/abort/${root}`, { path: "big", upload_id })).json()).toEqual({});
  }
  expect(refused(await put(credentials[1], "two"))).toEqual([404, "RESOURCE_DOES_NOT_EXIST"]);
  const parts = [{ part_number: 1 }, { part_number: 2 }];
  expect(refused(await post(`${base}/mpu/complete/${root}`, { path: "big", upload_id, parts }))).toEqual([
    404,
    "RESOURCE_DOES_NOT_EXIST",
  ]);
  expect((await get(`${base}/artifacts/${root}/big`)).status).toBe(404);
  expect(await sweep()).toBe(1);
  expect(await blobs()).toBe(0);
});

test("a part's URL is good for that part only (CVE-2026-2651)", async () => {
  const { post, put, root, url, blobs } = await start();
  const { upload_id, credentials } = (await post(`${base}/mpu/create/${root}`, { path: "big", num_parts: 2 })).json();
  const [{ url: one }, { url: two }] = credentials as [Credential, Credential];
  const forged = [
    one.replace("/1?", "/2?"),
    one.replace(upload_id, "0".repeat(48)),
    one.split("?")[0] ?? "",
    one.replace(/expires=\d+/, "expires=9999999999"),
    `${two.split("?")[0]}?${one.split("?")[1]}`,
    one.replace(/signature=.*/, "signature=00"),
  ];
  for (const each of forged) {
    expect(refused(await put({ url: each, part_number: 1 }, "x"))).toEqual([403, "PERMISSION_DENIED"]);
  }
  const { pathname, search } = new URL(one);
  expect((await wire(url, "GET", `${pathname}${search}`)).status).toBe(404);
  expect(await blobs()).toBe(0);
});

test("uploads are made only where a file may be put, and are bounded", async () => {
  const { post, root } = await start();
  const create = async (path: string, body: object): Promise<unknown> =>
    refused(await post(`${base}/mpu/create/${path}`, body));
  const invalid = [400, "INVALID_PARAMETER_VALUE"];
  expect(await create(root, { path: "a", num_parts: 0 })).toEqual(invalid);
  expect(await create(root, { path: "a", num_parts: 10_001 })).toEqual(invalid);
  expect(await create(root, {})).toEqual(invalid);
  expect(await create(root, { path: "a/.." })).toEqual(invalid);
  expect(await create(`${root}/%2e%2e`, { path: "a" })).toEqual(invalid);
  expect(await create("0/nobody/artifacts", { path: "a" })).toEqual([404, "RESOURCE_DOES_NOT_EXIST"]);
  const all = (await post(`${base}/mpu/create/${root}`, { path: "a", num_parts: 10_000 })).json();
  expect(all.credentials).toHaveLength(10_000);
});

test("a signed URL for a download leads to ranges of that file, and to no other", async () => {
  const { url, get, root } = await start();
  for (const name of ["100%25 größe", "other"]) {
    await wire(url, "PUT", `${base}/artifacts/${root}/${encodeURI(name).replaceAll("%2525", "%25")}`, "0123456789");
  }
  const signed = (await get(`${base}/presigned/${root}/100%25%20gr%C3%B6%C3%9Fe`)).json();
  expect(signed).toMatchObject({ headers: {}, file_size: 10 });
  const { pathname, search } = new URL(signed.url);
  const part = await wire(url, "GET", `${pathname}${search}`, undefined, { range: "bytes=2-4" });
  expect([part.status, part.body.toString()]).toEqual([206, "234"]);
  const other = pathname.slice(0, pathname.lastIndexOf("/"));
  expect(refused(await get(`${other}/other${search}`))).toEqual([403, "PERMISSION_DENIED"]);
  expect(refused(await get(pathname))).toEqual([403, "PERMISSION_DENIED"]);
  expect(refused(await get(`${base}/presigned/${root}/nothing`))).toEqual([404, "RESOURCE_DOES_NOT_EXIST"]);
});

test("clients are told what this server is good at", async () => {
  const { get } = await start();
  expect((await get("/api/3.0/mlflow/server-info")).json()).toMatchObject({
    store_type: "SqlStore",
    workspaces_enabled: false,
    trace_archival_enabled: false,
    multipart_uploads_enabled: false,
    multipart_downloads_enabled: false,
  });
});
