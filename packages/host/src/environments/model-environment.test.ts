import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { modelEnvironment } from "./model-environment.ts";
import { cacheFolder, createPythonEnvironments } from "./python-environments.ts";

/** Packages are wheels made here. */
const root = mkdtempSync(join(tmpdir(), "espalier-model-environment-"));
const wheels = join(root, "wheels");
const usual = { ...process.env };
/** A cache of its own that borrows uv from this machine's. */
const cache = join(root, "cache");
const settings = { UV_NO_INDEX: "1", UV_FIND_LINKS: wheels };
let folder: string;

const makeWheels = `
import sys, zipfile
for name, version in [("pear", "1.0"), ("pear", "2.0"), ("mlflow_skinny", "3.1.4"), ("pandas", "99.0"), ("numpy", "99.0")]:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
`;

beforeAll(() => {
  mkdirSync(wheels);
  mkdirSync(cache);
  mkdirSync(join(cacheFolder(), "tools"), { recursive: true });
  symlinkSync(join(cacheFolder(), "tools"), join(cache, "tools"));
  execFileSync("python3", ["-c", makeWheels, wheels]);
  Object.assign(process.env, settings);
});
afterAll(() => {
  for (const name of Object.keys(settings)) {
    if (usual[name] === undefined) delete process.env[name];
    else process.env[name] = usual[name];
  }
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(root, "model-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const pyfunc = "flavors:\n  python_function: { loader_module: x }\nmlflow_version: 3.1.4\n";

function make(files: Readonly<Record<string, string>>) {
  for (const [name, text] of Object.entries({ MLmodel: pyfunc, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const model = { folder, label: "fruit version 3", locks: join(root, "locks") };
  return modelEnvironment(createPythonEnvironments(cache), model);
}

function versionOf(program: string | undefined, name: string): string {
  return execFileSync(program ?? "", ["-c", `import ${name}; print(${name}.version)`], { encoding: "utf8" }).trim();
}

describe("a model's environment", () => {
  test("is made of its requirements, with MLflow of the version that logged it, and may be read by its worker", async () => {
    const made = await make({ "requirements.txt": "pear<2\n" });
    expect([versionOf(made?.program, "pear"), versionOf(made?.program, "mlflow_skinny")]).toEqual(["1.0", "3.1.4"]);
    const place = dirname(dirname(made?.program ?? ""));
    expect(statSync(place).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(place, "compiled"), "utf8")).toBe("");
    // Nothing is written into the model's folder, whose content is the version's.
    expect(execFileSync("ls", [folder], { encoding: "utf8" })).toBe("MLmodel\nrequirements.txt\n");
  });

  test.each([
    ["python_env.yaml", { "python_env.yaml": "python: '3'\ndependencies: [pear==2.0]\n" }],
    ["the pip part of conda.yaml", { "conda.yaml": "dependencies:\n- pip\n- pip: [pear==2.0]\n" }],
    [
      "python_env.yaml that names the requirements",
      {
        "python_env.yaml": "dependencies: ['-r requirements.txt']\n",
        "requirements.txt": "pear==2.0\n",
      },
    ],
    [
      "a model folder of ours around MLflow's",
      {
        MLmodel: "",
        "signature.json": '{"format":"mlflow","payload":"inside"}',
        "inside/MLmodel": pyfunc,
        "inside/requirements.txt": "pear==2.0\n",
      },
    ],
  ])("is told by %s", async (_name, files) => {
    expect(versionOf((await make(files as Record<string, string>))?.program, "pear")).toBe("2.0");
  });

  test("that can not be made is told with the model's name and the builder's words", async () => {
    await expect(make({ "requirements.txt": "pear==9\n" })).rejects.toMatchObject({
      code: "ENVIRONMENT_FAILED",
      message: expect.stringMatching(/fruit version 3(.|\n)*pear==9/),
    });
    await expect(make({ "requirements.txt": "pear\n", "python_env.yaml": "python: 3.2.1\n" })).rejects.toMatchObject({
      code: "NOT_INSTALLED",
      message: expect.stringContaining("Python 3.2"),
    });
    rmSync(join(folder, "requirements.txt"));
    await expect(make({})).rejects.toMatchObject({ code: "INVALID_DATA" });
  });

  test.each([
    ["ONNX", { MLmodel: "flavors:\n  onnx: { data: model.onnx }\n  python_function: {}\n" }],
    ["no model of MLflow's", { MLmodel: "[" }],
    ["a payload outside of the folder", { "signature.json": '{"format":"mlflow","payload":"../x"}' }],
  ])("is not made for %s", async (_name, files) => {
    expect(await make(files)).toBeUndefined();
  });
});
