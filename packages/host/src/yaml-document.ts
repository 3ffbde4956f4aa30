import { type Fault, pointerPath } from "@espalier/core";
import { isCollection, isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";

/** A YAML file with the place of everything in it. */
export interface YamlDocument {
  value: unknown;
  /** Faults of YAML itself; `value` is then not to be used. */
  faults: Fault[];
  /** `file:line:column` of what a path leads to, or of the nearest thing around it that is written down. */
  locate(path: readonly PropertyKey[]): string;
}

export function readYamlDocument(text: string, file: string): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, merge: true });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const faults = document.errors.map(
    (error): Fault => ({
      code: "INVALID_CONFIG",
      check: "yaml",
      message: `not valid YAML: ${error.message}`,
      pointer: "",
      at: place(error.pos[0]),
    }),
  );
  const locate = (path: readonly PropertyKey[]): string => place(offsetOf(document.contents, path));
  if (faults.length > 0) return { value: undefined, faults, locate };
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) as unknown, faults, locate };
  } catch (error) {
    const message = `not valid YAML: ${error instanceof Error ? error.message : String(error)}`;
    return {
      value: undefined,
      faults: [{ code: "INVALID_CONFIG", check: "yaml", message, pointer: "", at: place(0) }],
      locate,
    };
  }
}

/** Of a mapping's member the key is shown, since that is what people look for; of a list's the item. */
function offsetOf(root: Node | null, path: readonly PropertyKey[]): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const segment of path) {
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(segment),
      );
      if (pair === undefined) return offset;
      offset = isNode(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(segment)];
      if (item === undefined) return offset;
      offset = isNode(item) ? (item.range?.[0] ?? offset) : offset;
      node = item;
    } else if (!isCollection(node)) return offset;
  }
  return offset;
}

/** Faults with their place filled in, in the order of the file. */
export function placed(faults: readonly Fault[], locate: (path: readonly PropertyKey[]) => string): Fault[] {
  const order = (fault: Fault): number[] => (fault.at ?? "").split(":").slice(-2).map(Number);
  const file = (fault: Fault): string => (fault.at ?? "").split(":", 1)[0] ?? "";
  return faults
    .map((fault) => (fault.at === undefined ? { ...fault, at: locate(pointerPath(fault.pointer)) } : fault))
    .sort(
      (a, b) =>
        file(a).localeCompare(file(b)) ||
        (order(a)[0] ?? 0) - (order(b)[0] ?? 0) ||
        (order(a)[1] ?? 0) - (order(b)[1] ?? 0),
    );
}
