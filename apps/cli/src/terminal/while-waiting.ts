const longMilliseconds = 5_000;

/** Says on standard error what is waited for, once it takes long: output that is piped stays what it is. */
export async function whileWaiting<Result>(why: string, work: Promise<Result>): Promise<Result> {
  const timer = setTimeout(() => process.stderr.write(`${why}\n`), longMilliseconds);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

export const untilServed =
  "waiting until the version can answer; the environment of a Python model is built once a machine, which may take minutes";
