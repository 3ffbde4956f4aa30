import type { Endpoint } from "@espalier/contract";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { client } from "../../api/client.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { Instant } from "../../ui/instant.tsx";
import { Page } from "../../ui/page.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { Table } from "../../ui/table.tsx";
import { duration } from "../../ui/words.ts";

/** What serves, with whose traffic; its history; and the way back. */
export function EndpointsPage() {
  const query = useQuery({
    queryKey: ["endpoints.list"],
    queryFn: () => client.call("endpoints.list", { query: { limit: 200 } }),
    refetchInterval: 5_000,
  });
  return (
    <Page title="Endpoints">
      {query.isPending && <Loading what="the endpoints" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      {query.data?.items.length === 0 && (
        <Empty title="Nothing serves yet" command="espalier deploy <endpoint> <model>@<version>">
          A step <code className="font-mono">uses: deploy</code>, or an entry of{" "}
          <code className="font-mono">endpoints:</code> in espalier.yaml, does it as well.
        </Empty>
      )}
      <div className="space-y-5">
        {query.data?.items.map((endpoint) => (
          <EndpointCard key={endpoint.name} endpoint={endpoint} />
        ))}
      </div>
    </Page>
  );
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;

function EndpointCard({ endpoint }: { endpoint: Endpoint }) {
  const { name, state, generation, url, versions, captureRate, updatedAt } = endpoint;
  const [isAsking, setAsking] = useState(false);
  const queries = useQueryClient();
  const back = useMutation({
    mutationFn: () => client.call("endpoints.rollback", { params: { name }, body: { reason: "from the web UI" } }),
    onSuccess: () => {
      setAsking(false);
      return queries.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[0]).startsWith("endpoints.") });
    },
  });
  return (
    <section className="space-y-4 rounded-xl border border-line bg-card px-5 py-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2 className="text-xl">
          {name} <span className="ml-2 text-sm text-muted">{state}</span>
        </h2>
        <Button look="danger" onClick={() => setAsking(true)}>
          Roll back
        </Button>
      </div>
      <p className="text-sm text-muted">
        generation {generation}, <Instant at={updatedAt} />; {percent(captureRate)} of the requests are captured
        {url !== undefined && (
          <>
            ; answers at <code className="font-mono">{url}</code>
          </>
        )}
      </p>
      <Table
        label={`Versions that ${name} serves`}
        heads={["Version", "Traffic", "Ready", "Requests", "Errors", "p99"]}
        rows={versions.map(({ model, version, weight, ready, requests, errors, p99Seconds, message }) => ({
          key: `${model}@${version}`,
          cells: [
            `${model} ${version}`,
            percent(weight),
            ready === false ? (message ?? "no") : ready === true ? "yes" : "",
            requests?.toLocaleString(),
            errors?.toLocaleString(),
            p99Seconds === undefined ? "" : duration(p99Seconds * 1000),
          ],
        }))}
      />
      <History name={name} />
      {isAsking && (
        <Confirm
          title={`Roll ${name} back?`}
          action="Roll back"
          look="danger"
          isBusy={back.isPending}
          error={back.error}
          onConfirm={() => back.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>
            It serves again what it served before its last rollout. The change is kept in its history with your name.
          </p>
        </Confirm>
      )}
    </section>
  );
}

function History({ name }: { name: string }) {
  const query = useQuery({
    queryKey: ["endpoints.history", name],
    queryFn: () => client.call("endpoints.history", { params: { name }, query: { limit: 20 } }),
  });
  if (query.isError) return <Problem error={query.error} retry={() => void query.refetch()} />;
  return (
    <details>
      <summary className="cursor-pointer text-sm text-muted">History</summary>
      <ol className="mt-2 space-y-1 text-sm">
        {query.data?.items.map(({ generation, at, by, reason, versions }) => (
          <li key={generation}>
            <span className="text-muted">{generation}</span> <Instant at={at} /> {by}: {reason}{" "}
            <span className="text-muted">
              {versions.map(({ model, version, weight }) => `${model} ${version} ${percent(weight)}`).join(", ") ||
                "nothing"}
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}
