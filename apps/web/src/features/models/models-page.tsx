import type { ModelVersion, VerdictInfo } from "@espalier/contract";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { client } from "../../api/client.ts";
import { Digest } from "../../ui/digest.tsx";
import { Instant } from "../../ui/instant.tsx";
import { Page } from "../../ui/page.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { Table } from "../../ui/table.tsx";
import { bytes } from "../../ui/words.ts";
import { verdictText } from "./verdict-text.ts";

const link = "text-leaf underline underline-offset-2";

/** Registered models by name. */
export function ModelsPage() {
  const query = useQuery({
    queryKey: ["models.list"],
    queryFn: () => client.call("models.list", { query: { limit: 200 } }),
  });
  return (
    <Page title="Models">
      {query.isPending && <Loading what="the models" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      {query.data?.items.length === 0 && (
        <Empty title="No model is registered" command="espalier run">
          A step <code className="font-mono">uses: register</code> behind a gate registers what it let through.
        </Empty>
      )}
      {query.data !== undefined && query.data.items.length > 0 && (
        <Table
          label="Models"
          heads={["Model", "Versions", "Aliases", "Created"]}
          rows={query.data.items.map(({ name, versions, aliases, createdAt }) => ({
            key: name,
            cells: [
              <Link key="name" to="/models/$name" params={{ name }} className={link}>
                {name}
              </Link>,
              versions,
              Object.entries(aliases)
                .map(([alias, version]) => `${alias} → ${version}`)
                .join(", "),
              <Instant key="at" at={createdAt} />,
            ],
          }))}
        />
      )}
    </Page>
  );
}

const route = getRouteApi("/models/$name");

/** Versions of a model, with what its gates decided. */
export function ModelPage() {
  const { name } = route.useParams();
  const versions = useQuery({
    queryKey: ["models.versions", name],
    queryFn: () => client.call("models.versions", { params: { name }, query: { limit: 200 } }),
  });
  const verdicts = useQuery({
    queryKey: ["verdicts.list", name],
    queryFn: () => client.call("verdicts.list", { query: { model: name, limit: 200 } }),
  });
  const byId = new Map(verdicts.data?.items.map((verdict) => [verdict.id, verdict]));
  return (
    <Page title={name}>
      {versions.isPending && <Loading what="its versions" />}
      {versions.isError && <Problem error={versions.error} retry={() => void versions.refetch()} />}
      {verdicts.isError && <Problem error={verdicts.error} retry={() => void verdicts.refetch()} />}
      {versions.data !== undefined && (
        <Table
          label="Versions"
          heads={["Version", "Aliases", "Gate", "Content", "Made by", "Registered"]}
          rows={versions.data.items.map((version) => ({
            key: String(version.version),
            cells: cellsOf(version, byId.get(version.verdictId ?? "")),
          }))}
        />
      )}
    </Page>
  );
}

function cellsOf(version: ModelVersion, verdict: VerdictInfo | undefined) {
  const { artifact, runId, aliases, gate, createdAt } = version;
  return [
    version.version,
    aliases.join(", "),
    gate === "none" ? "registered without one" : (verdictText(verdict) ?? "passed"),
    artifact === undefined ? (
      "not fetched yet"
    ) : (
      <span key="content" className="whitespace-nowrap">
        <Digest digest={artifact.digest} /> {bytes(artifact.size)}
      </span>
    ),
    runId === undefined ? (
      ""
    ) : (
      <Link key="run" to="/runs/$runId" params={{ runId }} search={{}} className={`font-mono ${link}`}>
        {runId.slice(-8)}
      </Link>
    ),
    <Instant key="at" at={createdAt} />,
  ];
}
