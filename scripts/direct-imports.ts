import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "esbuild";

/**
 * For esbuild, whose chunks follow files: an import of a workspace's `index.ts` becomes imports of the files behind its names, so that a
 * command loads what it uses and not the whole workspace. `indexes` are the paths of those `index.ts` by the workspaces' names.
 * Names that an index does not give one by one (`export *`) stay with the index.
 */
export function directImports(indexes: Readonly<Record<string, string>>): Plugin {
  const places = new Map(
    Object.entries(indexes)
      .filter(([, path]) => existsSync(path))
      .map(([name, path]) => [name, placesOf(readFileSync(path, "utf8"), path)] as const),
  );
  return {
    name: "direct-imports",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        if (path.includes("/node_modules/")) return undefined;
        return { contents: direct(readFileSync(path, "utf8"), places), loader: "ts" };
      });
    },
  };
}

type Places = ReadonlyMap<string, { file: string; name: string }>;

/** `name` or `name as other`; types are erased by esbuild, and are not looked for. */
const binding = /^(\w+)(?:\s+as\s+(\w+))?$/;

function bindings(list: string): string[] {
  return list.split(",").flatMap((one) => {
    const trimmed = one.trim();
    return trimmed === "" || trimmed.startsWith("type ") ? [] : [trimmed];
  });
}

function placesOf(text: string, path: string): Places {
  const found = new Map<string, { file: string; name: string }>();
  for (const [, list = "", from = ""] of text.matchAll(/^export \{([^}]*)\} from "(\.[^"]*)";$/gm)) {
    for (const one of bindings(list)) {
      const [, name = "", as = name] = binding.exec(one) ?? [];
      found.set(as, { file: join(dirname(path), from), name });
    }
  }
  return found;
}

export function direct(text: string, places: ReadonlyMap<string, Places>): string {
  return text.replace(/^import \{([^}]*)\} from "(@espalier\/[^"]*)";$/gm, (statement, list: string, from: string) => {
    const known = places.get(from);
    if (known === undefined) return statement;
    const lines = bindings(list).map((one) => {
      const [, name = "", as = name] = binding.exec(one) ?? [];
      const place = known.get(name);
      if (place === undefined) return `import { ${one} } from "${from}";`;
      return `import { ${place.name === as ? as : `${place.name} as ${as}`} } from ${JSON.stringify(place.file)};`;
    });
    return lines.join(" ");
  });
}
