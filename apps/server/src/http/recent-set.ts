/** Keys that were added lately, at most so many: of more, the oldest is forgotten. */
export interface RecentSet {
  has(key: string): boolean;
  add(key: string): void;
  delete(key: string): void;
}

export function createRecentSet(most: number, milliseconds: number, now = () => performance.now()): RecentSet {
  const until = new Map<string, number>();
  return {
    has(key) {
      const end = until.get(key);
      if (end === undefined) return false;
      if (end > now()) return true;
      until.delete(key);
      return false;
    },
    add(key) {
      until.delete(key);
      until.set(key, now() + milliseconds);
      if (until.size > most) until.delete(until.keys().next().value ?? "");
    },
    delete: (key) => void until.delete(key),
  };
}
