import { chmod, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { digestOfBytes } from "@espalier/core";
import { expect, test, vi } from "vitest";
import { makeProject, startForTest } from "../../testing/control-plane.ts";
import { filesBelow, type WireAnswer, wire } from "../artifacts/testing/wire.ts";

const proxy = "/api/2.0/mlflow-artifacts/artifacts";

interface Started {
  url: string;
  directory: string;
  token: string;
  call: (method: string, path: string, ...rest: unknown[]) => Promise<WireAnswer>;
  run(): Promise<string>;
  blobs(): Promise<string[]>;
}

async function start(yaml = "project: flights\n"): Promise<Started> {
  const directory = await makeProject({ "espalier.yaml": yaml });
  const { url, token } = await startForTest(directory);
  const call = (method: string, path: string, ...rest: unknown[]): Promise<WireAnswer> =>
    wire(url, method, path, ...(rest as [string]));
  return {
    url,
    directory,
    token,
    call,
    async run() {
      const body = JSON.stringify({ experiment_id: "0" });
      const made = await wire(url, "POST", "/api/2.0/mlflow/runs/create", body, { "content-type": "application/json" });
      return made.json().run.info.run_id;
    },
    blobs: async () =>
      (await filesBelow(join(directory, ".espalier/store/blobs"))).map((path) => path.replace("/", "")),
  };
}

const refused = (answer: WireAnswer): unknown => ({ status: answer.status, code: answer.json().error_code });
const invalid = { status: 400, code: "INVALID_PARAMETER_VALUE" };

test("a file goes up and down as it is, and is told by name, type and size", async () => {
  const { call, run, token } = await start();
  const path = `${proxy}/0/${await run()}/artifacts/plots/größe 1.html`.replaceAll(
    /[^\x20-\x7e]| /g,
    encodeURIComponent,
  );
  const body = Buffer.from("<script>alert(1)</script>");
  const put = await call("PUT", path, body, { "content-type": "text/html" });
  expect([put.status, put.json()]).toEqual([200, {}]);
  const got = await call("GET", path);
  expect(got.body.equals(body)).toBe(true);
  expect(got.headers).toMatchObject({
    "content-type": "text/html",
    "content-length": String(body.length),
    "content-disposition": "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe%201.html",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    etag: `"${digestOfBytes(body).slice("sha256:".length)}"`,
  });
  expect(
    (await call("GET", path.replace("/api/", "/ajax-api/"), undefined, { authorization: `Bearer ${token}` })).status,
  ).toBe(200);
  expect((await call("GET", path, undefined, { authorization: "Bearer wrong" })).status).toBe(401);
});

test("ranges, as clients ask that load in parts or go on after a break", async () => {
  const { call, run } = await start();
  const path = `${proxy}/0/${await run()}/artifacts/numbers`;
  await call("PUT", path, "0123456789");
  const range = async (header: string, more = {}): Promise<[number, string, string | undefined]> => {
    const answer = await call("GET", path, undefined, { range: header, ...more });
    return [answer.status, answer.body.toString(), answer.headers["content-range"]];
  };
  expect(await range("bytes=2-4")).toEqual([206, "234", "bytes 2-4/10"]);
  expect(await range("bytes=7-")).toEqual([206, "789", "bytes 7-9/10"]);
  expect(await range("bytes=-3")).toEqual([206, "789", "bytes 7-9/10"]);
  expect(await range("bytes=0-999")).toEqual([206, "0123456789", "bytes 0-9/10"]);
  expect(await range("bytes=10-")).toEqual([416, "", "bytes */10"]);
  expect(await range("bytes=-0")).toEqual([416, "", "bytes */10"]);
  for (const whole of ["bytes=4-2", "bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=a-b"]) {
    expect(await range(whole)).toEqual([200, "0123456789", undefined]);
  }
  expect(await range("bytes=2-4", { "if-range": '"another"' })).toEqual([200, "0123456789", undefined]);
});

test("folders are listed one level at a time, and every entry says whether it is one", async () => {
  const { call, run } = await start();
  const id = await run();
  const root = `0/${id}/artifacts`;
  for (const name of ["model/MLmodel", "model/data/model.onnx", "a.txt"])
    await call("PUT", `${proxy}/${root}/${name}`, name);
  const list = async (path: string): Promise<unknown> => (await call("GET", `${proxy}?path=${path}`)).json();
  expect(await list(root)).toEqual({
    files: [
      { path: "a.txt", is_dir: false, file_size: 5 },
      { path: "model", is_dir: true },
    ],
  });
  expect(await list(`${root}/model`)).toEqual({
    files: [
      { path: "MLmodel", is_dir: false, file_size: 13 },
      { path: "data", is_dir: true },
    ],
  });
  expect(await list(`${root}/a.txt`)).toEqual({});
  expect(await list(`${root}/nowhere`)).toEqual({});
  expect(await list("")).toEqual({ files: [{ path: "0", is_dir: true }] });
  const listed = (query: string) => call("GET", `/api/2.0/mlflow/artifacts/list?${query}`);
  expect((await listed(`run_id=${id}&path=model`)).json()).toEqual({
    root_uri: `mlflow-artifacts:/${root}`,
    files: [
      { path: "model/MLmodel", is_dir: false, file_size: 13 },
      { path: "model/data", is_dir: true },
    ],
  });
  expect((await listed(`run_uuid=${id}&path=nowhere`)).json()).toEqual({ root_uri: `mlflow-artifacts:/${root}` });
  expect(refused(await listed("run_id=nobody"))).toEqual({ status: 404, code: "RESOURCE_DOES_NOT_EXIST" });
  expect(refused(await listed(`run_id=${id}&path=../..`))).toEqual(invalid);
});

test("what is not there is 404, never a fault that clients would repeat for minutes", async () => {
  const { call, run } = await start();
  const missing = { status: 404, code: "RESOURCE_DOES_NOT_EXIST" };
  expect(refused(await call("GET", `${proxy}/0/${await run()}/artifacts/nothing`))).toEqual(missing);
  expect(refused(await call("GET", `${proxy}/9/none/artifacts/MLmodel`))).toEqual(missing);
  expect(refused(await call("GET", `${proxy}/espalier/${"0".repeat(64)}/MLmodel`))).toEqual(missing);
  expect((await call("DELETE", `${proxy}/0/${await run()}/artifacts/nothing`)).status).toBe(200);
});

test("equal contents are stored once, and another takes a path's place", async () => {
  const { call, run, blobs } = await start();
  const paths = [`${proxy}/0/${await run()}/artifacts/a`, `${proxy}/0/${await run()}/artifacts/b/c`];
  for (const path of paths) await call("PUT", path, "the same bytes");
  const once = digestOfBytes(Buffer.from("the same bytes")).slice("sha256:".length);
  expect(await blobs()).toEqual([once]);
  await call("PUT", paths[0] ?? "", "others");
  expect((await call("GET", paths[0] ?? "")).body.toString()).toBe("others");
  expect((await call("GET", paths[1] ?? "")).body.toString()).toBe("the same bytes");
  expect(await blobs()).toHaveLength(2);
});

test("files, folders and all files of a run are deleted, and gc then sweeps their bytes and no others", async () => {
  const { call, run, blobs, url, token } = await start();
  const root = `${proxy}/0/${await run()}/artifacts`;
  const kept = `${proxy}/0/${await run()}/artifacts/kept`;
  for (const name of ["a", "f/b", "f/g/c"]) await call("PUT", `${root}/${name}`, name);
  await call("PUT", kept, "f/b");
  expect((await call("DELETE", `${root}/f/g`)).json()).toEqual({});
  expect((await call("GET", `${root}/f/g/c`)).status).toBe(404);
  expect((await call("GET", `${root}/f/b`)).status).toBe(200);
  expect((await call("DELETE", `${root}/`)).json()).toEqual({});
  for (const name of ["a", "f/b"]) expect((await call("GET", `${root}/${name}`)).status).toBe(404);
  const swept = await wire(url, "POST", "/api/v1/gc", "{}", {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
  });
  expect(swept.json()).toMatchObject({ quarantined: { blobs: 2 } });
  expect(await blobs()).toEqual([digestOfBytes(Buffer.from("f/b")).slice("sha256:".length)]);
  expect((await call("GET", kept)).body.toString()).toBe("f/b");
});

test("only files of a run that is there are taken, and a deleted run takes none", async () => {
  const { call, run, blobs } = await start();
  const id = await run();
  const missing = { status: 404, code: "RESOURCE_DOES_NOT_EXIST" };
  expect(refused(await call("PUT", `${proxy}/0/nobody/artifacts/a`, "a"))).toEqual(missing);
  expect(refused(await call("PUT", `${proxy}/7/${id}/artifacts/a`, "a"))).toEqual(missing);
  expect(refused(await call("PUT", `${proxy}/0/models/m-1/artifacts/a`, "a"))).toEqual(missing);
  expect(refused(await call("PUT", `${proxy}/0/${id}/a`, "a"))).toEqual(invalid);
  expect(refused(await call("PUT", `${proxy}/a`, "a"))).toEqual(invalid);
  expect(refused(await call("PUT", `${proxy}/espalier/${"0".repeat(64)}/a`, "a"))).toEqual({
    status: 403,
    code: "PERMISSION_DENIED",
  });
  expect(refused(await call("DELETE", `${proxy}/0`))).toEqual(invalid);
  expect(refused(await call("DELETE", `${proxy}/0/${id}`))).toEqual(invalid);
  await call("PUT", `${proxy}/0/${id}/artifacts/a`, "a");
  expect(refused(await call("PUT", `${proxy}/0/${id}/artifacts/a/b`, "b"))).toEqual({
    status: 409,
    code: "RESOURCE_CONFLICT",
  });
  await call("POST", "/api/2.0/mlflow/runs/delete", JSON.stringify({ run_id: id }), {
    "content-type": "application/json",
  });
  expect(refused(await call("PUT", `${proxy}/0/${id}/artifacts/b`, "b"))).toEqual(invalid);
  expect((await call("GET", `${proxy}/0/${id}/artifacts/a`)).status).toBe(200);
  expect(await blobs()).toHaveLength(1);
});

test.each(["GET", "PUT", "DELETE"])("%s: paths that lead elsewhere are refused", async (method) => {
  const { call, run, blobs } = await start();
  const root = `${proxy}/0/${await run()}/artifacts`;
  for (const path of [
    "../../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252fetc",
    "..%5c..%5cetc",
    "a%00b",
    "a%5cb",
    "a//b",
    "a;/../../b",
    "%3b..%2f..%2fetc",
    "a%23b",
    "a%3fb",
    "a?b=c",
    "a/%2e",
    "x".repeat(256),
  ]) {
    const answer = await call(method, `${root}/${path}`, method === "PUT" ? "a" : undefined);
    expect([path, answer.status, answer.json().error_code]).toEqual([path, 400, "INVALID_PARAMETER_VALUE"]);
  }
  expect(await blobs()).toEqual([]);
});

test("names that MLflow's clients escape in their own way are one name", async () => {
  const { call, run } = await start();
  const root = `0/${await run()}/artifacts`;
  // As MLflow 2 asks for an image that it logged, and as it asks again after a listing.
  await call("PUT", `${proxy}/${root}/images/k%25step%250%25timestamp%251734567890123%2541a2.png`, "image");
  const listed = (await call("GET", `${proxy}?path=${root}/images`)).json().files;
  expect(listed).toEqual([{ path: "k%step%0%timestamp%1734567890123Aa2.png", is_dir: false, file_size: 5 }]);
  for (const name of [encodeURIComponent(listed[0].path), "k%step%0%timestamp%251734567890123Aa2.png"]) {
    expect((await call("GET", `${proxy}/${root}/images/${name}`)).body.toString()).toBe("image");
  }
  await call("PUT", `${proxy}/${root}/50%.txt`, "half");
  expect((await call("GET", `${proxy}/${root}/50%25.txt`)).body.toString()).toBe("half");
});

test("an upload that breaks off, or grows beyond the limit, leaves nothing", async () => {
  const { call, run, url, directory, blobs } = await start(
    "project: flights\ncontrol_plane: { largest_upload_bytes: 3000000 }\n",
  );
  const path = `${proxy}/0/${await run()}/artifacts/big`;
  const spool = join(directory, ".espalier/uploads");
  const { hostname, port } = new URL(url);
  for (const headers of [{ "content-length": 2_000_000 }, {}]) {
    const sent = request({ hostname, port, method: "PUT", path, headers });
    sent.on("error", () => undefined);
    sent.write(Buffer.alloc(1_000_000));
    await vi.waitFor(async () => expect(await filesBelow(spool)).toHaveLength(1));
    sent.destroy();
    await vi.waitFor(async () => expect(await filesBelow(spool)).toEqual([]));
  }
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let count = 0; count < 40; count += 1) yield Buffer.alloc(100_000);
  }
  expect((await call("PUT", path, Buffer.alloc(3_000_001))).status).toBe(413);
  expect((await call("PUT", path, endless())).status).toBe(413);
  expect((await call("PUT", path, Buffer.alloc(3_000_000))).status).toBe(200);
  expect(await filesBelow(spool)).toEqual([]);
  expect(await blobs()).toHaveLength(1);
  expect((await call("GET", path)).body).toHaveLength(3_000_000);
});

test("what is damaged is never handed out whole, and what is lost is 404", async () => {
  const { call, run, directory } = await start();
  const path = `${proxy}/0/${await run()}/artifacts/file`;
  const content = Buffer.alloc(3_000_000, "espalier");
  await call("PUT", path, content);
  const [digest = ""] = await filesBelow(join(directory, ".espalier/store/blobs"));
  const blob = join(directory, ".espalier/store/blobs", digest);
  await chmod(blob, 0o644);
  await writeFile(blob, Buffer.concat([content.subarray(1), Buffer.from("x")]));
  await expect(call("GET", path)).rejects.toThrow("aborted");
  await rm(blob);
  expect(refused(await call("GET", path))).toEqual({ status: 404, code: "RESOURCE_DOES_NOT_EXIST" });
  await call("PUT", path, content);
  expect((await call("GET", path)).body.equals(content)).toBe(true);
});
