import { apiPrefix } from "@espalier/contract";
import type { FastifyInstance } from "fastify";
import { escapeHtml } from "../report/markup.ts";
import { isNavigation, type WebFiles } from "../web/web-files.ts";

interface Place {
  version: string;
  /** Where clients reach this control plane. */
  url: string;
}

/**
 * What stands at the root: the web UI where it is built; and MLflow's clients print links to it
 * (`/#/experiments/1/runs/...`, whose part behind the `#` no browser sends). No secret in it: it is open, like `/health`.
 */
export function registerFrontPage(
  app: FastifyInstance,
  { version, url, web }: { version: string; url(): string; web: WebFiles },
): void {
  app.get("/", { config: { policy: "open" } }, async (request, reply) => {
    const place = { version, url: url() };
    void reply.header("vary", "accept");
    if (!isNavigation(request)) return frontDocument(place);
    if (web.isBuilt) return web.page(reply);
    void reply.header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
    return reply.type("text/html; charset=utf-8").send(frontPage(place));
  });
}

function frontDocument({ version, url }: Place): Record<string, string> {
  return {
    name: "Espalier",
    version,
    api: `${url}${apiPrefix}`,
    openapi: `${url}${apiPrefix}/openapi.json`,
    mlflow: url,
    health: `${url}/health`,
    metrics: `${url}/metrics`,
    documentation: "README.md and docs/ of this version",
  };
}

function frontPage({ version, url }: Place): string {
  const at = escapeHtml(url);
  const rows = [
    [
      "API",
      `<code>${at}${apiPrefix}</code>, described by <a href="${apiPrefix}/openapi.json">openapi.json</a>; it wants a token`,
    ],
    ["MLflow", `<code>MLFLOW_TRACKING_URI=${at}</code> for MLflow's own clients`],
    ["Operations", '<a href="/health">health</a>, <a href="/metrics">metrics</a>'],
    ["Documentation", "<code>README.md</code> and <code>docs/</code> of this version; <code>espalier --help</code>"],
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Espalier</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}dt{font-weight:600}dd{margin:0 0 .8rem}code{overflow-wrap:anywhere}</style></head>
<body><h1>Espalier ${escapeHtml(version)}</h1>
<p>This is a project's control plane. Its web UI is not built: <code>npm run build -w @espalier/web</code>, then start it again.</p>
<dl>${rows.map(([name, text]) => `<dt>${name}</dt><dd>${text}</dd>`).join("")}</dl>
<p>MLflow's clients print links such as <code>/#/experiments/1/runs/&lt;id&gt;</code>, which lead here. That run is
<code>mlflow.get_run("&lt;id&gt;")</code> in Python; <code>espalier runs</code> lists those of pipelines, and <code>espalier report</code> tells what they came to.</p>
</body></html>
`;
}
