import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { findPython } from "./python.ts";
import { cacheFolder, createPythonEnvironments, platformName } from "./python-environments.ts";
import { runProgram } from "./run-program.ts";

/** uv itself comes from the registry (once into the cache of this machine); the packages are wheels made here, and nothing else is reachable. */
const root = mkdtempSync(join(tmpdir(), "espalier-environments-"));
const wheels = join(root, "wheels");
const usual = { ...process.env };
let folder: string;

const makeWheel = `
import sys, zipfile
folder, name, version = sys.argv[1:]
info = f"{name}-{version}.dist-info"
with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{name}.py", f"version = {version!r}\\n")
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/RECORD", f"{name}.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
`;

beforeAll(async () => {
  mkdirSync(wheels);
  for (const version of ["1.0", "1.1", "2.0"]) execFileSync("python3", ["-c", makeWheel, wheels, "pear", version]);
  Object.assign(process.env, { UV_NO_INDEX: "1", UV_FIND_LINKS: wheels });
});
afterAll(() => {
  for (const name of ["UV_NO_INDEX", "UV_FIND_LINKS"]) {
    if (usual[name] === undefined) delete process.env[name];
    else process.env[name] = usual[name];
  }
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(root, "project-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A cache of its own that borrows uv from this machine's. */
function emptyCache(): string {
  const cache = mkdtempSync(join(root, "cache-"));
  mkdirSync(join(cacheFolder(), "tools"), { recursive: true });
  symlinkSync(join(cacheFolder(), "tools"), join(cache, "tools"));
  return cache;
}

const lockPath = (): string => join(folder, `requirements.lock.${platformName()}.txt`);
const wanted = (text: string): void => writeFileSync(join(folder, "requirements.txt"), text);

describe("python environments", () => {
  test("a lock is resolved once, kept while its source stays, and names no registry", async () => {
    const environments = createPythonEnvironments(cacheFolder());
    wanted("pear<2\n");
    const first = await environments.lock(folder, "requirements.txt");
    expect(first).toMatchObject({ fresh: true, path: lockPath() });
    expect(first.text).toContain("pear==1.1");
    const stored = readFileSync(lockPath(), "utf8");
    expect(stored).toContain("--hash=sha256:");
    expect(stored).not.toMatch(/https?:|wheels/);
    expect((await environments.lock(folder, "requirements.txt")).fresh).toBe(false);
    // A comment asks for the same packages: resolved again, and the environment is the same.
    wanted("# of the season\npear<2\n");
    const commented = await environments.lock(folder, "requirements.txt");
    expect(commented).toMatchObject({ fresh: true, text: first.text });
    wanted("pear\n");
    expect((await environments.lock(folder, "requirements.txt")).text).toContain("pear==1.1");
    wanted("pear>=2\n");
    expect((await environments.lock(folder, "requirements.txt")).text).toContain("pear==2.0");
  });

  test("a wanted Python has a lock of its own beside the usual one, and both stay", async () => {
    const environments = createPythonEnvironments(cacheFolder());
    wanted("pear<2\n");
    const python = await findPython(undefined);
    const version = python.version.split(".").slice(0, 2).join(".");
    await environments.lock(folder, "requirements.txt");
    const own = await environments.lock(folder, "requirements.txt", version);
    expect(own).toMatchObject({
      fresh: true,
      path: join(folder, `requirements.lock.python${version}.${platformName()}.txt`),
    });
    for (const again of [undefined, version]) {
      expect((await environments.lock(folder, "requirements.txt", again)).fresh).toBe(false);
    }
  });

  test("an environment is made once, also by several at once, and is used from its final place", async () => {
    wanted("pear==1.0\n");
    const cache = emptyCache();
    const { text } = await createPythonEnvironments(cacheFolder()).lock(folder, "requirements.txt");
    const makers = [createPythonEnvironments(cache), createPythonEnvironments(cache)];
    const bins = await Promise.all([...makers, ...makers].map((maker) => maker.bin(text)));
    expect(new Set(bins).size).toBe(1);
    expect(readdirSync(join(cache, "environments"))).toHaveLength(1);
    const ran = await runProgram(join(bins[0] ?? "", "python"), ["-c", "import pear; print(pear.version)"]);
    expect(ran?.stdout).toBe("1.0\n");
    const packages = JSON.parse(readFileSync(join(bins[0] ?? "", "..", "packages.json"), "utf8"));
    expect(packages.packages).toEqual([{ name: "pear", version: "1.0" }]);
  });

  test("what does not resolve or install is told in uv's own words, and leaves nothing behind", async () => {
    const environments = createPythonEnvironments(cacheFolder());
    wanted("pear\nno-such-fruit==3\n");
    await expect(environments.lock(folder, "requirements.txt")).rejects.toMatchObject({
      code: "ENVIRONMENT_FAILED",
      at: "requirements.txt",
      message: expect.stringContaining("no-such-fruit"),
    });
    expect(readdirSync(folder)).toEqual(["requirements.txt"]);
    const cache = emptyCache();
    const gone = createPythonEnvironments(cache).bin("pear==9.9\n");
    await expect(gone).rejects.toMatchObject({ code: "ENVIRONMENT_FAILED", message: expect.stringContaining("pear") });
    expect(readdirSync(join(cache, "environments"))).toEqual([]);
  });

  test("a file that is not there and a Python that is not there are named", async () => {
    const environments = createPythonEnvironments(cacheFolder());
    await expect(environments.lock(folder, "nothing.txt")).rejects.toMatchObject({
      code: "NOT_FOUND",
      at: "nothing.txt",
    });
    wanted("pear\n");
    await expect(environments.lock(folder, "requirements.txt", "3.2")).rejects.toMatchObject({
      code: "NOT_INSTALLED",
      hint: expect.stringContaining("Python 3.2"),
    });
  });

  test("CVE-2025-15379: what stands in a requirements file, or is its name, never reaches a shell", async () => {
    const environments = createPythonEnvironments(cacheFolder());
    const proof = join(folder, "ran");
    for (const line of [
      `pear; touch ${proof}`,
      `$(touch ${proof})`,
      `\`touch ${proof}\``,
      `pear | touch ${proof}`,
      `-e "; touch ${proof}"`,
    ]) {
      wanted(`${line}\n`);
      await expect(environments.lock(folder, "requirements.txt"), line).rejects.toMatchObject({
        code: "ENVIRONMENT_FAILED",
      });
    }
    const name = `a;touch ran;$(touch ran).txt`;
    writeFileSync(join(folder, name), "pear<2\n");
    expect((await environments.lock(folder, name)).text).toContain("pear==1.1");
    expect(existsSync(proof)).toBe(false);
  });
});
