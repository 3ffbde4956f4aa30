import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { type RawFace, startRawFace } from "../testing/raw-face.ts";

const api = "/api/2.0/mlflow";
const models = `${api}/registered-models`;
const versions = `${api}/model-versions`;

async function run(face: RawFace): Promise<string> {
  const made = await face.call("POST", `${api}/runs/create`, { experiment_id: "0", start_time: 1 });
  return made.body.run.info.run_id;
}

/** A model with as many versions, each of its own run. */
async function modelWith(face: RawFace, name: string, count: number): Promise<string[]> {
  await face.call("POST", `${models}/create`, { name });
  const runs: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const runId = await run(face);
    const made = await face.call("POST", `${versions}/create`, { name, source: `runs:/${runId}/model`, run_id: runId });
    expect(made.status).toBe(200);
    runs.push(runId);
  }
  return runs;
}

describeOnBoth("the registry of MLflow's clients", await startPostgres(), (database) => {
  test("models are made, described, tagged, renamed and deleted", async () => {
    const face = await startRawFace(database);
    const tags = [{ key: "team", value: "red" }];
    const made = await face.call("POST", `${models}/create`, { name: "flights delay", description: "d", tags });
    expect(made.body.registered_model).toEqual({
      name: "flights delay",
      creation_timestamp: expect.any(Number),
      last_updated_timestamp: made.body.registered_model.creation_timestamp,
      description: "d",
      tags,
    });
    expect(await face.call("POST", `${models}/create`, { name: "flights delay" })).toEqual({
      status: 400,
      body: {
        error_code: "RESOURCE_ALREADY_EXISTS",
        message: "Registered Model (name=flights delay) already exists.",
      },
    });
    const about = { name: "flights delay" };
    await face.call("POST", `${models}/set-tag`, { ...about, key: "stage", value: "x" });
    await face.call("DELETE", `${models}/delete-tag`, { ...about, key: "team" });
    expect((await face.call("DELETE", `${models}/delete-tag`, { ...about, key: "team" })).status).toBe(200);
    await face.call("PATCH", `${models}/update`, { ...about, description: "better" });
    const renamed = await face.call("POST", `${models}/rename`, { ...about, new_name: "late" });
    expect(renamed.body.registered_model).toMatchObject({
      name: "late",
      description: "better",
      tags: [{ key: "stage", value: "x" }],
    });
    const gone = await face.call("GET", `${models}/get?name=flights%20delay`);
    expect(gone).toEqual({
      status: 404,
      body: {
        error_code: "RESOURCE_DOES_NOT_EXIST",
        message: "Registered Model with name=flights delay not found",
      },
    });
    expect(await face.call("DELETE", `${models}/delete`, { name: "late" })).toEqual({ status: 200, body: {} });
    expect((await face.call("DELETE", `${models}/delete`, { name: "late" })).status).toBe(404);
    expect((await face.call("POST", `${models}/create`, { name: "late" })).status).toBe(200);
  });

  test("names are taken as they are sent, and only those that MLflow takes", async () => {
    const face = await startRawFace(database);
    for (const name of ["", " ", "a/b", "a:b", "..", "n".repeat(257), 5]) {
      const refused = await face.call("POST", `${models}/create`, { name });
      expect([refused.status, refused.body.error_code, name]).toEqual([400, "INVALID_PARAMETER_VALUE", name]);
    }
    // CVE-2024-3099: an escaped name is another name, never the same model by another spelling.
    expect((await face.call("POST", `${models}/create`, { name: "ab" })).status).toBe(200);
    expect((await face.call("GET", `${models}/get?name=a%2562`)).status).toBe(404);
    expect((await face.call("POST", `${models}/create`, { name: "a%62" })).status).toBe(200);
    expect((await face.call("GET", `${models}/get?name=a%2562`)).body.registered_model.name).toBe("a%62");
    for (const tag of [
      { key: "a//b", value: "v" },
      { key: "k".repeat(251), value: "v" },
      { key: "k", value: "v".repeat(100_001) },
    ]) {
      expect((await face.call("POST", `${models}/set-tag`, { name: "ab", ...tag })).status).toBe(400);
    }
    expect(
      (await face.call("POST", `${models}/set-tag`, { name: "ab", key: "k", value: "é".repeat(100_000) })).status,
    ).toBe(200);
  });

  test("every create makes a version, and a version that is deleted stays away", async () => {
    const face = await startRawFace(database);
    const [first] = await modelWith(face, "m", 2);
    const again = await face.call("POST", `${versions}/create`, {
      name: "m",
      source: `runs:/${first}/model`,
      run_id: first,
      run_link: "https://example.com/run",
      tags: [{ key: "k", value: "v" }],
    });
    expect(again.body.model_version).toEqual({
      name: "m",
      version: "3",
      creation_timestamp: expect.any(Number),
      last_updated_timestamp: expect.any(Number),
      user_id: "loopback",
      current_stage: "None",
      description: "",
      source: `runs:/${first}/model`,
      run_id: first,
      run_link: "https://example.com/run",
      status: "READY",
      tags: [{ key: "k", value: "v" }],
    });
    await face.call("PATCH", `${versions}/update`, { name: "m", version: "3", description: "third" });
    await face.call("POST", `${versions}/set-tag`, { name: "m", version: "3", key: "k2", value: "v2" });
    await face.call("DELETE", `${versions}/delete-tag`, { name: "m", version: "3", key: "k" });
    const third = await face.call("GET", `${versions}/get?name=m&version=3`);
    expect(third.body.model_version).toMatchObject({ description: "third", tags: [{ key: "k2", value: "v2" }] });
    const uri = await face.call("GET", `${versions}/get-download-uri?name=m&version=3`);
    expect(uri.body).toEqual({ artifact_uri: `mlflow-artifacts:/0/${first}/artifacts/model` });
    await face.call("POST", `${models}/alias`, { name: "m", alias: "best", version: "3" });
    expect(await face.call("DELETE", `${versions}/delete`, { name: "m", version: "3" })).toEqual({
      status: 200,
      body: {},
    });
    for (const path of [`${versions}/get?name=m&version=3`, `${versions}/get-download-uri?name=m&version=3`]) {
      expect(await face.call("GET", path)).toEqual({
        status: 404,
        body: {
          error_code: "RESOURCE_DOES_NOT_EXIST",
          message: "Model Version (name=m, version=3) not found",
        },
      });
    }
    expect((await face.call("GET", `${models}/get?name=m`)).body.registered_model.aliases).toBeUndefined();
    const found = await face.call("GET", `${versions}/search?filter=name='m'`);
    expect(found.body.model_versions.map((one: { version: string }) => one.version)).toEqual(["2", "1"]);
    const next = await face.call("POST", `${versions}/create`, { name: "m", source: "models:/m/1" });
    expect(next.body.model_version.version).toBe("4");
    for (const version of ["x", "1.5", "99999999999999999999"]) {
      expect((await face.call("GET", `${versions}/get?name=m&version=${version}`)).status).toBeOneOf([400, 404]);
    }
  });

  test("versions made at once have each a number of their own", async () => {
    const face = await startRawFace(database);
    const [runId] = await modelWith(face, "m", 1);
    const body = { name: "m", source: `runs:/${runId}/model` };
    const made = await Promise.all(Array.from({ length: 20 }, () => face.call("POST", `${versions}/create`, body)));
    const numbers = made.map((one) => Number(one.body.model_version.version)).toSorted((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => index + 2));
  });

  test("stages serve older clients", async () => {
    const face = await startRawFace(database);
    await modelWith(face, "m", 3);
    const move = (version: string, stage: string, archive?: boolean) =>
      face.call("POST", `${versions}/transition-stage`, {
        name: "m",
        version,
        stage,
        ...(archive === undefined ? {} : { archive_existing_versions: archive }),
      });
    expect((await move("1", "production")).body.model_version.current_stage).toBe("Production");
    expect((await move("2", "Production", true)).body.model_version.current_stage).toBe("Production");
    const latest = async (stages?: string[]): Promise<Record<string, string>> => {
      const answer = await face.call("POST", `${models}/get-latest-versions`, { name: "m", stages });
      const found: { current_stage: string; version: string }[] = answer.body.model_versions ?? [];
      return Object.fromEntries(found.map((one) => [one.current_stage, one.version]));
    };
    expect(await latest()).toEqual({ Archived: "1", Production: "2", None: "3" });
    expect(await latest(["staging"])).toEqual({});
    const byGet = await face.call("GET", `${models}/get-latest-versions?name=m&stages=Production&stages=none`);
    expect(byGet.body.model_versions.map((one: { version: string }) => one.version)).toEqual(["2", "3"]);
    expect((await move("1", "bad")).body.message).toBe(
      "Invalid Model Version stage: bad. Value must be one of None, Staging, Production, Archived.",
    );
    const archived = await move("1", "None", true);
    expect([archived.status, archived.body.message]).toEqual([400, expect.stringContaining("is not an Active stage")]);
  });

  test("an alias is the one that pipelines and the command line know", async () => {
    const face = await startRawFace(database);
    await modelWith(face, "m", 2);
    const set = (alias: string, version: unknown) =>
      face.call("POST", `${models}/alias`, { name: "m", alias, version });
    expect(await set("champion", "1")).toEqual({ status: 200, body: {} });
    expect((await face.call("GET", `${models}/alias?name=m&alias=champion`)).body.model_version).toMatchObject({
      version: "1",
      aliases: ["champion"],
    });
    const bearer = { authorization: `Bearer ${face.token}` };
    const ours = await face.call("GET", "/api/v1/models/m", undefined, bearer);
    expect(ours.body).toMatchObject({ aliases: { champion: 1 }, versions: 2, latest: 2 });
    const moved = await face.call("PUT", "/api/v1/models/m/aliases/champion", { version: 2, from: 1 }, bearer);
    expect(moved.status).toBe(200);
    const seen = await face.call("GET", `${models}/alias?name=m&alias=champion`);
    expect(seen.body.model_version.version).toBe("2");
    const latest = await face.call("GET", `${models}/alias?name=m&alias=latest`);
    expect(latest.body.model_version.version).toBe("2");
    for (const alias of ["latest", "v1", "V12", "a b", "a".repeat(256), ""]) {
      expect((await set(alias, "1")).status).toBe(400);
    }
    expect((await set("x", "9")).body.message).toBe("Model Version (name=m, version=9) not found");
    expect((await face.call("GET", `${models}/alias?name=m&alias=none`)).body).toEqual({
      error_code: "INVALID_PARAMETER_VALUE",
      message: "Registered model alias none not found.",
    });
    const drop = { name: "m", alias: "champion" };
    expect((await face.call("DELETE", `${models}/alias`, drop)).status).toBe(200);
    expect((await face.call("DELETE", `${models}/alias`, drop)).status).toBe(200);
    expect((await face.call("GET", `${models}/alias?name=m&alias=champion`)).status).toBe(400);
  });

  test("copies carry what they are copies of", async () => {
    const face = await startRawFace(database);
    const [runId] = await modelWith(face, "from", 1);
    await face.call("POST", `${models}/alias`, { name: "from", alias: "best", version: "1" });
    await face.call("POST", `${models}/create`, { name: "to" });
    for (const source of ["models:/from/1", "models:/from@best", "models:/from/latest", "models:/from/None"]) {
      const copy = await face.call("POST", `${versions}/create`, { name: "to", source });
      expect(copy.body.model_version).toMatchObject({ source: "models:/from/1", run_id: runId });
    }
    const uri = await face.call("GET", `${versions}/get-download-uri?name=to&version=1`);
    expect(uri.body.artifact_uri).toBe(`mlflow-artifacts:/0/${runId}/artifacts/model`);
    const other = await face.call("POST", `${versions}/create`, { name: "to", source: "models:/from/1", run_id: "x" });
    expect(other.status).toBe(400);
  });

  test("only files of this server become versions (CVE-2023-1177, 2023-2780, 2024-3573, 2026-2614)", async () => {
    const face = await startRawFace(database);
    const [runId] = await modelWith(face, "m", 1);
    const other = await run(face);
    for (const source of [
      "/etc/passwd",
      "relative/path",
      "file:///etc",
      "file://host/etc",
      "FILE:/etc",
      "C:\\models",
      "s3://bucket/model",
      "dbfs:/model",
      "http://127.0.0.1/api/2.0/mlflow-artifacts/artifacts/0/model",
      "mlflow-artifacts://host/0/model",
      `mlflow-artifacts:/0/${runId}/artifacts/../../../etc`,
      `mlflow-artifacts:/0/${runId}/artifacts/%2e%2e/%2e%2e/secret`,
      `mlflow-artifacts:/0/${runId}/artifacts/%252e%252e/secret`,
      `mlflow-artifacts:/0/${runId}/artifacts/..%5csecret`,
      `mlflow-artifacts:/0/${runId}/artifacts/model?x=1`,
      `mlflow-artifacts:/0/${runId}/artifacts/model#/../../x`,
      `mlflow-artifacts:/0/${runId}/artifacts/model;x`,
      `mlflow-artifacts:/0/${runId}/artifacts/model%00`,
      `mlflow-artifacts:/0/${runId}`,
      "mlflow-artifacts:/0/nobody/artifacts/model",
      `mlflow-artifacts:/espalier/${"0".repeat(64)}`,
      `runs:/${other}/model`,
      `runs://host/${runId}/model`,
      `runs:/${runId}/../model`,
      `runs:/${runId}`,
      "models:/m-0123456789abcdef0123456789abcdef",
      "models://host/m/1",
      "models:/m/1/2",
      "models:/",
      "models:/m@",
    ]) {
      const refused = await face.call("POST", `${versions}/create`, { name: "m", source, run_id: runId });
      expect([source, refused.status, refused.body.error_code]).toEqual([source, 400, "INVALID_PARAMETER_VALUE"]);
    }
    const own = { name: "m", source: `mlflow-artifacts:/0/${runId}/artifacts/model` };
    expect((await face.call("POST", `${versions}/create`, { ...own, run_id: runId })).status).toBe(200);
    const unsaid = await face.call("POST", `${versions}/create`, own);
    expect(unsaid.body.model_version.run_id).toBe(runId);
    const foreign = await face.call("POST", `${versions}/create`, { ...own, run_id: other });
    expect(foreign.body.message).toContain("The run_id request parameter must identify the resource");
    expect((await face.call("POST", `${versions}/create`, { name: "none", source: own.source })).status).toBe(404);
  });

  test("searches filter, order and page", async () => {
    const face = await startRawFace(database);
    for (const name of ["alpha", "beta", "Gamma"]) await modelWith(face, name, name === "beta" ? 2 : 1);
    await face.call("POST", `${models}/set-tag`, { name: "alpha", key: "team", value: "red" });
    await face.call("POST", `${versions}/set-tag`, { name: "beta", version: "2", key: "ok", value: "Yes" });
    const runId = (await face.call("GET", `${versions}/get?name=beta&version=1`)).body.model_version.run_id;
    const names = async (query: Record<string, string>): Promise<string> => {
      const { body } = await face.call("GET", `${models}/search?${new URLSearchParams(query)}`);
      return body.registered_models?.map((one: { name: string }) => one.name).join(" ") ?? body.error_code ?? "";
    };
    expect(await names({})).toBe("Gamma alpha beta");
    expect(await names({ order_by: "name DESC" })).toBe("beta alpha Gamma");
    expect(await names({ filter: "name LIKE '%a'", order_by: "name" })).toBe("Gamma alpha beta");
    expect(await names({ filter: "name LIKE 'g%'" })).toBe("");
    expect(await names({ filter: "name ILIKE 'g%'" })).toBe("Gamma");
    expect(await names({ filter: "name IN ('beta', 'alpha')" })).toBe("alpha beta");
    expect(await names({ filter: "tags.team = 'red'" })).toBe("alpha");
    expect(await names({ filter: "tags.team != 'blue' AND name = 'alpha'" })).toBe("alpha");
    expect(await names({ filter: "tags.team != 'red'" })).toBe("");
    for (const filter of ["bad = '1'", "name > 'a'", "name = 1", "name = 'a' OR name = 'b'", "name IN ()"]) {
      expect(await names({ filter })).toBe("INVALID_PARAMETER_VALUE");
    }
    const places = async (query: Record<string, string>): Promise<string> => {
      const { body } = await face.call("GET", `${versions}/search?${new URLSearchParams(query)}`);
      const found: { name: string; version: string }[] = body.model_versions ?? [];
      return found.map((one) => `${one.name}/${one.version}`).join(" ") || (body.error_code ?? "");
    };
    expect(await places({ order_by: "version_number ASC" })).toBe("Gamma/1 alpha/1 beta/1 beta/2");
    expect(await places({ filter: "version_number > 1" })).toBe("beta/2");
    expect(await places({ filter: "version_number = '2'" })).toBe("beta/2");
    expect(await places({ filter: "version_number = 'two'" })).toBe("INVALID_PARAMETER_VALUE");
    expect(await places({ filter: `run_id = '${runId}'` })).toBe("beta/1");
    expect(await places({ filter: `run_id IN ('${runId}', 'x')` })).toBe("beta/1");
    expect(await places({ filter: `source_path LIKE 'runs:/${runId}%'` })).toBe("beta/1");
    expect(await places({ filter: "tags.ok ILIKE 'y%' and name = 'beta'" })).toBe("beta/2");
    expect(await places({ filter: "version_number > 1.5" })).toBe("INVALID_PARAMETER_VALUE");
    expect(await places({ filter: "source_path IN ('a')" })).toBe("INVALID_PARAMETER_VALUE");
    expect(await places({ order_by: "bad" })).toBe("INVALID_PARAMETER_VALUE");
    const seen: string[] = [];
    for (let token = ""; ; ) {
      const query = new URLSearchParams({ max_results: "2", order_by: "name DESC", page_token: token });
      const { body } = await face.call("GET", `${versions}/search?${query}`);
      seen.push(...body.model_versions.map((one: { name: string; version: string }) => `${one.name}/${one.version}`));
      if (body.next_page_token === undefined) break;
      token = body.next_page_token;
    }
    expect(seen).toEqual(["beta/2", "beta/1", "alpha/1", "Gamma/1"]);
    for (const query of ["max_results=0", "max_results=1001", "page_token=zzz", "page_token=e30%3D"]) {
      expect((await face.call("GET", `${models}/search?${query}`)).status).toBe(400);
    }
    expect((await face.call("GET", `${versions}/search?max_results=200001`)).status).toBe(400);
  });

  test("prompts are registered models that no search finds unasked", async () => {
    const face = await startRawFace(database);
    await modelWith(face, "model", 1);
    const mark = { key: "mlflow.prompt.is_prompt", value: "true" };
    await face.call("POST", `${models}/create`, { name: "prompt", tags: [mark] });
    const text = { key: "mlflow.prompt.text", value: "Hi {{name}}" };
    const body = { name: "prompt", source: "dummy-source", tags: [mark, text] };
    expect((await face.call("POST", `${versions}/create`, body)).status).toBe(200);
    expect((await face.call("POST", `${versions}/create`, { ...body, source: "/etc/passwd" })).status).toBe(400);
    const names = async (kind: string, filter: string): Promise<string> => {
      const { body } = await face.call("GET", `${api}/${kind}/search?${new URLSearchParams({ filter })}`);
      return (body.registered_models ?? body.model_versions ?? []).map((one: { name: string }) => one.name).join(" ");
    };
    for (const kind of ["registered-models", "model-versions"]) {
      expect(await names(kind, "")).toBe("model");
      expect(await names(kind, "tags.`mlflow.prompt.is_prompt` != 'true'")).toBe("model");
      expect(await names(kind, "tag.`mlflow.prompt.is_prompt` = 'false'")).toBe("model");
      expect(await names(kind, "tags.`mlflow.prompt.is_prompt` = 'true'")).toBe("prompt");
    }
    const taken = await face.call("POST", `${models}/create`, { name: "prompt" });
    expect(taken.body).toMatchObject({
      error_code: "RESOURCE_ALREADY_EXISTS",
      message: expect.stringContaining("already taken by a prompt"),
    });
    const copied = await face.call("POST", `${versions}/create`, { name: "model", source: "models:/prompt/1" });
    expect(copied.status).toBe(400);
    const bearer = { authorization: `Bearer ${face.token}` };
    const ours = await face.call("GET", "/api/v1/models", undefined, bearer);
    expect(ours.body.items.map((one: { name: string }) => one.name)).toEqual(["model"]);
  });

  test("what a gate said is nobody's to say", async () => {
    const face = await startRawFace(database);
    const [runId] = await modelWith(face, "m", 1);
    const place = { name: "m", version: "1" };
    for (const key of ["espalier.gate", "espalier.verdict"]) {
      expect((await face.call("POST", `${versions}/set-tag`, { ...place, key, value: "passed" })).status).toBe(400);
      expect((await face.call("DELETE", `${versions}/delete-tag`, { ...place, key })).status).toBe(400);
    }
    const made = await face.call("POST", `${versions}/create`, {
      name: "m",
      source: `runs:/${runId}/model`,
      tags: [
        { key: "espalier.gate", value: "passed" },
        { key: "own", value: "1" },
      ],
    });
    expect(made.body.model_version.tags).toEqual([{ key: "own", value: "1" }]);
  });
});
