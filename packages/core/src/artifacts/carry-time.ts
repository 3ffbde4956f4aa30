/** What a move may take, in seconds: the quick and the slow case, and what both rest on. */
export interface CarryTime {
  low: number;
  high: number;
  /** The speeds that were taken. A move shows its real one. */
  assumed: string;
}

interface Speed {
  objectsASecond: readonly [slow: number, quick: number];
  megabytesASecond: readonly [slow: number, quick: number];
}

/** Between folders as `npm run bench:move` measured it, busy and idle (docs/benchmarks.md); over a network from 100 Mbit/s to 2 Gbit/s. */
const speeds: Readonly<Record<"disk" | "network", Speed>> = {
  disk: { objectsASecond: [1_000, 5_000], megabytesASecond: [100, 1_000] },
  network: { objectsASecond: [100, 1_500], megabytesASecond: [12, 250] },
};

/** Objects and bytes are carried beside each other, so that the slower of both decides. */
export function carryTime(
  { artifacts, bytes }: { artifacts: number; bytes: number },
  way: keyof typeof speeds,
): CarryTime {
  const { objectsASecond, megabytesASecond } = speeds[way];
  const at = (index: 0 | 1): number =>
    Math.max(artifacts / objectsASecond[index], bytes / 1e6 / megabytesASecond[index]);
  const between = ([slow, quick]: readonly [number, number], unit: string): string =>
    `${slow.toLocaleString("en")} to ${quick.toLocaleString("en")} ${unit} a second`;
  return {
    low: at(1),
    high: at(0),
    assumed: `${between(megabytesASecond, "MB")} and ${between(objectsASecond, "objects")}, by ${way}`,
  };
}
