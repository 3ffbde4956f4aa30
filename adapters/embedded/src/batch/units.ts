/** A stretch of one input file that becomes one part of the predictions: what is done again when a step is killed. */
export interface Unit {
  /** From 0 over all files. */
  index: number;
  /** Index of the file. */
  file: number;
  /** Rows of the file, from 0: the first (inclusive) and the last (exclusive). */
  from: number;
  to: number;
}

/** Cuts files at their row groups into units of about `partRows`; a row group is never cut. An empty file is one unit. */
export function planUnits(files: readonly { rowGroups: readonly number[] }[], partRows: number): Unit[] {
  const units: Unit[] = [];
  for (const [file, { rowGroups }] of files.entries()) {
    let from = 0;
    let to = 0;
    const close = (): void => {
      units.push({ index: units.length, file, from, to });
      from = to;
    };
    for (const rows of rowGroups) {
      if (to > from && to - from + rows > partRows) close();
      to += rows;
    }
    if (to > from || rowGroups.every((rows) => rows === 0)) close();
  }
  return units;
}
