import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { client } from "../../api/client.ts";
import { fieldClass } from "../../ui/button.tsx";
import { Digest } from "../../ui/digest.tsx";
import { Instant } from "../../ui/instant.tsx";
import { Page } from "../../ui/page.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { Table } from "../../ui/table.tsx";
import { bytes, plural } from "../../ui/words.ts";

const link = "text-leaf underline underline-offset-2";

/** Datasets by name. */
export function DataPage() {
  const query = useQuery({
    queryKey: ["datasets.list"],
    queryFn: () => client.call("datasets.list", { query: { limit: 200 } }),
  });
  return (
    <Page title="Data">
      {query.isPending && <Loading what="the datasets" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      {query.data?.items.length === 0 && (
        <Empty title="No data has a version" command="espalier dataset log <name> <path>">
          A step <code className="font-mono">uses: dataset</code> makes one as well.
        </Empty>
      )}
      {query.data !== undefined && query.data.items.length > 0 && (
        <Table
          label="Datasets"
          heads={["Dataset", "Versions", "Description", "Created"]}
          rows={query.data.items.map(({ name, versions, description, createdAt }) => ({
            key: name,
            cells: [
              <Link key="name" to="/data/$name" params={{ name }} search={{}} className={link}>
                {name}
              </Link>,
              versions,
              description,
              <Instant key="at" at={createdAt} />,
            ],
          }))}
        />
      )}
    </Page>
  );
}

const route = getRouteApi("/data/$name");

/** Versions of a dataset, and what differs between two. */
export function DatasetPage() {
  const { name } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery({
    queryKey: ["datasets.versions", name],
    queryFn: () => client.call("datasets.versions", { params: { name }, query: { limit: 200 } }),
  });
  const versions = query.data?.items ?? [];
  const to = search.to ?? versions[0]?.version;
  const from = search.from ?? versions[1]?.version;
  return (
    <Page title={name}>
      {query.isPending && <Loading what="its versions" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      <div className="space-y-5">
        {versions.length > 0 && (
          <Table
            label="Versions"
            heads={["Version", "Rows", "Columns", "Content", "From", "Logged"]}
            rows={versions.map(({ version, rows, columns, artifact, source, createdAt }) => ({
              key: String(version),
              cells: [
                version,
                rows?.toLocaleString(),
                columns?.length,
                <span key="content" className="whitespace-nowrap">
                  <Digest digest={artifact.digest} /> {bytes(artifact.size)}
                </span>,
                source,
                <Instant key="at" at={createdAt} />,
              ],
            }))}
          />
        )}
        {from !== undefined && to !== undefined && (
          <section className="rounded-xl border border-line bg-card px-5 py-4">
            <div className="mb-3 flex flex-wrap items-center gap-3">
              <h2 className="text-xl">What changed</h2>
              {(["from", "to"] as const).map((side) => (
                <label key={side} className="flex items-center gap-2 text-sm">
                  {side}
                  <select
                    className={fieldClass}
                    value={side === "from" ? from : to}
                    onChange={(event) =>
                      void navigate({ search: { ...search, [side]: Number(event.target.value) }, replace: true })
                    }
                  >
                    {versions.map(({ version }) => (
                      <option key={version}>{version}</option>
                    ))}
                  </select>
                </label>
              ))}
            </div>
            <Difference name={name} from={from} to={to} />
          </section>
        )}
      </div>
    </Page>
  );
}

function Difference({ name, from, to }: { name: string; from: number; to: number }) {
  const query = useQuery({
    queryKey: ["datasets.diff", name, from, to],
    queryFn: () => client.call("datasets.diff", { params: { name }, query: { from, to } }),
    enabled: from !== to,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (from === to) return <p className="text-muted">Choose two different versions.</p>;
  if (query.isPending) return <Loading what="the difference" />;
  if (query.isError) return <Problem error={query.error} retry={() => void query.refetch()} />;
  const { identical, rows, columns = [], files } = query.data;
  const changed = columns.filter(({ change }) => change !== "same");
  if (identical) return <p className="text-sm">They are identical.</p>;
  return (
    <div className="space-y-2 text-sm">
      {rows !== undefined && (
        <p>
          {rows.from.toLocaleString()} rows became {rows.to.toLocaleString()}.
        </p>
      )}
      {files !== undefined && (
        <p>
          {plural(files.added.length, "file")} added, {files.removed.length} removed, {files.changed.length} changed.
        </p>
      )}
      {changed.length > 0 && (
        <Table
          label="Columns"
          heads={["Column", "Change", "Before", "After"]}
          rows={changed.map(({ name: column, change, from: before, to: after }) => ({
            key: column,
            cells: [column, change, statistics(before), statistics(after)],
          }))}
        />
      )}
    </div>
  );
}

function statistics(values: Readonly<Record<string, unknown>> | undefined): string {
  return Object.entries(values ?? {})
    .filter(([, value]) => typeof value === "number" || typeof value === "string")
    .map(([name, value]) => `${name} ${typeof value === "number" ? Number(value.toPrecision(5)) : value}`)
    .join(", ");
}
