import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Sum {
  passed: number;
  failed: number;
  skipped: number;
}

/** Runs a folder's pytest suite and counts it. A suite that breaks before its tests, or finds none, counts as one failure. */
export async function pytest(suite: {
  /** Folder with `python`. */
  bin: string;
  folder: string;
  variables: NodeJS.ProcessEnv;
  words?: readonly string[];
}): Promise<Sum> {
  const scratch = mkdtempSync(join(tmpdir(), "espalier-pytest-"));
  const report = join(scratch, "report.xml");
  const words = ["-m", "pytest", "-q", "-rs", `--junitxml=${report}`, ...(suite.words ?? [])];
  const child = spawn(join(suite.bin, "python"), words, {
    cwd: suite.folder,
    env: { ...suite.variables, PATH: `${suite.bin}:${process.env.PATH}`, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number | null];
  try {
    const head = /<testsuite [^>]*>/.exec(readFileSync(report, "utf8"))?.[0] ?? "";
    const count = (name: string): number => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
    const skipped = count("skipped");
    const failed = count("failures") + count("errors");
    const broken = failed === 0 && (code !== 0 || count("tests") === 0) ? 1 : 0;
    return { passed: count("tests") - failed - skipped, failed: failed + broken, skipped };
  } catch (error) {
    console.error(`pytest in ${suite.folder} left no report (exit ${code}): ${error}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
