import { readdirSync, statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { api, attack, expectQuiet, expectRefused, proxy } from "./testing/attacked.ts";

/** Past vulnerabilities of MLflow's own server that reached files: each is tried on this one. */

test("CVE-2023-1177, CVE-2023-2780, CVE-2024-3573, CVE-2026-2614: a version's source is no file of the server's machine", async () => {
  const { post, send, runId, secret, directory } = await attack();
  expect((await post(`${api}/registered-models/create`, { name: "m" })).status).toBe(200);
  const folder = secret.path.slice(0, -"/passwd".length);
  const sources = [
    folder,
    `file://${folder}`,
    `file:${folder}`,
    `FILE://${folder}`,
    `file://localhost${folder}`,
    ` file://${folder}`,
    `file:///${directory}/.espalier`,
    "/",
    "C:/Windows",
    "\\\\host\\share",
    `${folder}#/../..`,
    `models:/../../..${folder}`,
    `runs:/${runId}/../../../../..${folder}`,
    `runs:/${runId}/%2e%2e/%2e%2e${folder}`,
    `mlflow-artifacts:/../../../..${folder}`,
    `mlflow-artifacts:/0/${runId}/artifacts/../../../..${folder}`,
    `mlflow-artifacts:/0/${runId}/artifacts/%252e%252e/%252e%252e${folder}`,
    `mlflow-artifacts://evil.com/0/${runId}/artifacts`,
    `s3://bucket${folder}`,
    `http://127.0.0.1/${folder}`,
    `dbfs:${folder}`,
    `local:${folder}`,
  ];
  for (const source of sources) {
    expectRefused(await post(`${api}/model-versions/create`, { name: "m", source, run_id: runId }), source, 400);
    expectRefused(await post(`${api}/model-versions/create`, { name: "m", source }), source, 400);
  }
  for (const path of ["passwd", "../passwd", secret.path]) {
    const query = new URLSearchParams({ name: "m", version: "1", path });
    expectRefused(await send("GET", `/model-versions/get-artifact?${query}`), path);
  }
});

test("CVE-2023-1177, CVE-2023-2780: an experiment's artifact location is no folder of the server's machine that the proxy would serve", async () => {
  const { post, send, secret } = await attack();
  const folder = secret.path.slice(0, -"/passwd".length);
  for (const location of [folder, `file://${folder}`, `${folder}#a`, `mlflow-artifacts:/../../..${folder}`]) {
    const made = await post(`${api}/experiments/create`, { name: location, artifact_location: location });
    if (made.status !== 200) {
      expectRefused(made, location, 400);
      continue;
    }
    const run = await post(`${api}/runs/create`, { experiment_id: made.json().experiment_id });
    const { run_id: runId } = run.json().run.info;
    for (const [method, path] of [
      ["GET", `/get-artifact?run_id=${runId}&path=passwd`],
      ["GET", `${api}/artifacts/list?run_id=${runId}`],
      ["GET", `${api}/artifacts/list?run_id=${runId}&path=..`],
      ["POST", `/ajax-api/2.0/mlflow/upload-artifact?run_id=${runId}&path=x`],
    ] as const) {
      const answer = await send(method, path, method === "POST" ? "x" : undefined);
      expect(answer.body.toString()).not.toContain(secret.text);
      expect(answer.body.toString()).not.toContain('passwd"');
    }
    expect(readdirSync(folder)).toEqual(["passwd"]);
  }
});

/** Each a path whose last parts would be the secret, for some decoder or other. */
function escapes(files: string, secretPath: string): string[] {
  const up = (dots: string, slash: string): string =>
    Array(12).fill(dots).join(slash) + secretPath.replaceAll("/", slash);
  return [
    `${files}/${up("..", "/")}`,
    `${files}/${up("%2e%2e", "/")}`,
    `${files}/${up("%2e%2e", "%2f")}`,
    `${files}/${up("..", "%2f")}`,
    `${files}/${up("%252e%252e", "%252f")}`,
    `${files}/${up("%25252e%25252e", "%25252f")}`,
    `${files}/${up("..", "%5c")}`,
    `${files}/${up("..", "\\")}`,
    `${files}/${up(".%2e", "/")}`,
    `${files}/${up("..", "/./")}`,
    `${files}/%2f${secretPath}`,
    `/${secretPath}`,
    `%2f${secretPath}`,
    `file:${secretPath}`,
    `${files}/%00${secretPath}`,
  ];
}

test.each([
  ["GET", "CVE-2023-6831, CVE-2023-6909, CVE-2024-1560"],
  ["PUT", "CVE-2023-6831"],
  ["DELETE", "CVE-2023-6831, CVE-2024-1560"],
] as const)("%s of an escaped path, escaped once or more often (%s)", async (method, _cve) => {
  const { send, files, secret, directory } = await attack();
  const before = readdirSync(directory).sort();
  for (const path of escapes(files, secret.path)) {
    const answer = await send(method, `${proxy}/${path}`, method === "PUT" ? "owned" : undefined);
    expectRefused(answer, path);
    expect(answer.body.toString()).not.toContain(secret.text);
  }
  expect(statSync(secret.path).size).toBe(secret.text.length);
  expect(readdirSync(directory).sort()).toEqual(before);
});

test("CVE-2024-1593, CVE-2024-1594, CVE-2024-2928, CVE-2024-3848: what a URL calls parameters, fragments and queries hides no path", async () => {
  const { send, post, runId, files, secret } = await attack();
  const up = `${Array(12).fill("..").join("/")}${secret.path}`;
  const hidden = [
    `a;/${up}`,
    `a;x=/${up}`,
    `#/${up}`,
    `%23/${up}`,
    `?/${up}`,
    `%3f/${up}`,
    `a%23/${up}`,
    `a#${up}`,
    `;${up}`,
  ];
  for (const path of hidden) {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await send(method, `${proxy}/${files}/${path}`, method === "PUT" ? "x" : undefined);
      if (answer.status !== 200) expectRefused(answer, `${method} ${path}`);
      expect(answer.body.toString()).not.toContain(secret.text);
    }
    for (const location of [`mlflow-artifacts:/${path}`, `http:///#/${up}`, `mlflow-artifacts:/x?/${up}`]) {
      const made = await post(`${api}/experiments/create`, {
        name: `${path} ${location}`,
        artifact_location: location,
      });
      if (made.status === 200) {
        const run = await post(`${api}/runs/create`, { experiment_id: made.json().experiment_id });
        const got = await send("GET", `/get-artifact?run_id=${run.json().run.info.run_id}&path=passwd`);
        expect(got.body.toString()).not.toContain(secret.text);
      } else expectRefused(made, location, 400);
    }
    const query = new URLSearchParams({ run_id: runId, path });
    for (const url of [`/get-artifact?${query}`, `${api}/artifacts/list?${query}`]) {
      const answer = await send("GET", url);
      expect(answer.body.toString(), url).not.toContain(secret.text);
      expectQuiet(answer, url);
    }
  }
  expect(statSync(secret.path).size).toBe(secret.text.length);
});

test("CVE-2024-0520, CVE-2025-11201: a file's name is told without folders, quotes or line breaks", async () => {
  const { send, files } = await attack();
  const names = ['a"; filename="evil.sh', "a%0d%0aset-cookie: x=1", "b.html;x", "..%3bname", "ü ☃.txt"];
  for (const name of names) {
    const path = `${proxy}/${files}/deep/${encodeURI(name).replaceAll("%25", "%")}`;
    const put = await send("PUT", path, "content");
    if (put.status !== 200) {
      expectRefused(put, name);
      continue;
    }
    const { headers } = await send("GET", path);
    expect(headers["content-disposition"], name).toMatch(/^attachment; filename\*=UTF-8''[A-Za-z0-9!'()*._~%-]+$/);
    expect(decodeURIComponent(String(headers["content-disposition"]))).not.toMatch(/\/|\\|deep/);
    expect(headers["set-cookie"]).toBeUndefined();
  }
});

test("CVE-2024-27132, CVE-2024-27133: a file is never a page of ours", async () => {
  const { send, files, runId } = await attack();
  const page = "<script>fetch('/api/2.0/mlflow/experiments/search')</script>";
  for (const name of ["page.html", "image.svg", "page.xhtml", "data.xml", "script.js", "none", "a.pdf"]) {
    expect((await send("PUT", `${proxy}/${files}/${name}`, page, { "content-type": "text/html" })).status).toBe(200);
    for (const path of [`${proxy}/${files}/${name}`, `/get-artifact?run_id=${runId}&path=${name}`]) {
      const { status, headers } = await send("GET", path, undefined, { accept: "text/html" });
      expect(status).toBe(200);
      expect(headers["content-disposition"], path).toMatch(/^attachment/);
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": expect.stringMatching(/default-src 'none'.*sandbox/),
      });
    }
  }
});

test("CVE-2024-37052 to CVE-2024-37060: what is logged as a pickle is stored, told and registered, and never loaded", async () => {
  const { send, post, files, runId, directory } = await attack();
  const proof = join(directory, "pickled");
  const pickle = `cposix\nsystem\n(S'touch ${proof}'\ntR.`;
  const model =
    "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n  sklearn:\n    pickled_model: model.pkl\n    serialization_format: cloudpickle\n";
  for (const [name, content] of [
    ["MLmodel", model],
    ["model.pkl", pickle],
    ["requirements.txt", `x; touch ${proof}\n$(touch ${proof})\n`],
  ] as const) {
    expect((await send("PUT", `${proxy}/${files}/model/${name}`, content)).status).toBe(200);
  }
  expect((await post(`${api}/registered-models/create`, { name: "pickled" })).status).toBe(200);
  const source = `runs:/${runId}/model`;
  const made = await post(`${api}/model-versions/create`, { name: "pickled", source, run_id: runId });
  expect(made.status, made.body.toString()).toBe(200);
  for (const path of [
    `${api}/model-versions/get?name=pickled&version=1`,
    `${api}/model-versions/get-download-uri?name=pickled&version=1`,
    `/model-versions/get-artifact?name=pickled&version=1&path=model.pkl`,
    `${api}/artifacts/list?run_id=${runId}&path=model`,
  ]) {
    expect((await send("GET", path)).status, path).toBe(200);
  }
  expect(readdirSync(directory)).not.toContain("pickled");
});

test("CVE-2026-4137: what is being uploaded lies where no other user can look", async () => {
  const { url, files, directory, send } = await attack();
  const path = `${proxy}/${files}/slow`;
  const { hostname, port } = new URL(url);
  const upload = request({ hostname, port, method: "PUT", path, headers: { "content-length": 2_000_000 } });
  upload.on("error", () => undefined);
  upload.write(Buffer.alloc(1_000_000, 1));
  const spool = join(directory, ".espalier/uploads");
  const spooled = (): string[] => {
    try {
      return readdirSync(spool);
    } catch {
      return [];
    }
  };
  await expect.poll(spooled).not.toEqual([]);
  // Not a folder that every user shares, such as /tmp: nobody else may enter the one that all of it lies in.
  expect(statSync(join(directory, ".espalier")).mode & 0o077).toBe(0);
  upload.destroy();
  await expect.poll(spooled).toEqual([]);
  expectRefused(await send("GET", path), "half a file", 404);
});

test("CVE-2025-15031, CVE-2025-15036: an archive is a file like any other, and nothing unpacks it", async () => {
  const { send, files, directory } = await attack();
  const before = readdirSync(directory).sort();
  const header = Buffer.alloc(1536);
  header.write("../../../../evil", 0);
  header.write("0000644\0", 100);
  header.write("00000000004\0", 124);
  header.write("ustar\0", 257);
  header.write("evil", 512);
  for (const name of ["a.tar", "a.tar.gz", "a.zip"]) {
    expect((await send("PUT", `${proxy}/${files}/${name}`, header)).status).toBe(200);
    const got = await send("GET", `${proxy}/${files}/${name}`);
    expect(got.body.equals(header)).toBe(true);
  }
  expect(readdirSync(directory).sort()).toEqual(before);
});
