/** A run that takes longer than this holds up other models, health checks and new connections when it blocks the event loop. */
const inlineMilliseconds = 2;

/** Beyond it nothing is gained by larger runs, and measuring would take longer. */
const mostInlineRows = 4096;

const triesAtEachSize = 5;

/**
 * How many rows this thread may run at once without being noticed; 0: not even one. Measured, since neither the size of a model nor its
 * kind tells: a forest of 200 trees takes microseconds a row, a small network may take a second. The median of five runs at 1, 4, 16, ...
 * rows counts, in time of the processor where that is less than the clock's, so that a busy machine does not make a light model heavy.
 */
export async function measureInlineRows(run: (rows: number) => Promise<unknown>): Promise<number> {
  await run(1);
  let fits = 0;
  for (let rows = 1; rows <= mostInlineRows; rows *= 4) {
    const milliseconds: number[] = [];
    for (let tries = 0; tries < triesAtEachSize; tries++) {
      const start = performance.now();
      const usage = process.threadCpuUsage();
      await run(rows);
      const wall = performance.now() - start;
      const { user, system } = process.threadCpuUsage(usage);
      // Where the system counts in ticks, a short run is told as none.
      const used = (user + system) / 1000;
      milliseconds.push(used > 0 ? Math.min(wall, used) : wall);
      // Two runs far beyond the limit settle it; a heavy model need not be run three times more.
      if (tries === 1 && Math.min(...milliseconds) > 2 * inlineMilliseconds) return fits;
    }
    milliseconds.sort((one, other) => one - other);
    if ((milliseconds[triesAtEachSize >> 1] ?? 0) > inlineMilliseconds) return fits;
    fits = rows;
  }
  return fits;
}
