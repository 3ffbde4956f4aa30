/** What a suite needs of a test runner; Vitest's functions fit. */
export interface TestRunner {
  describe(name: string, body: () => void): void;
  it: {
    (name: string, body: () => Promise<void> | void): void;
    skip(name: string, body: () => Promise<void> | void): void;
  };
  // biome-ignore lint/suspicious/noExplicitAny: the shape of a runner's `expect` is the runner's own.
  expect: any;
}

/** Case names to leave out, each with the reason; it is printed with the skipped case, and counted. */
export type Skips = Readonly<Record<string, string>>;

/** An `it` that honours skips; a skip that names no case fails, so that reasons do not outlive what they excuse. */
export function caseRunner(runner: TestRunner, skips: Skips = {}): { it: TestRunner["it"]; finish(): void } {
  const unused = new Set(Object.keys(skips));
  const run = (name: string, body: () => Promise<void> | void): void => {
    const reason = skips[name];
    if (reason === undefined) runner.it(name, body);
    else {
      unused.delete(name);
      runner.it.skip(`${name} (skipped: ${reason})`, body);
    }
  };
  return {
    it: Object.assign(run, { skip: runner.it.skip }),
    finish() {
      for (const name of unused) {
        runner.it(`the skip of "${name}" names a case`, () => {
          throw new Error(`No case is called "${name}"; remove the skip.`);
        });
      }
    },
  };
}

/** The code of the error that `work` throws, or `nothing thrown`. */
export async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : `not an EspalierError: ${error}`;
  }
  return "nothing thrown";
}
