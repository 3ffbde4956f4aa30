import type { Run } from "@espalier/contract";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { client } from "../../api/client.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { terminalRunStates } from "./steps-of-run.ts";

/** What can be done with a run as it is: a live one cancelled, a failed or cancelled one resumed, any that is over run again. */
export function RunActions({ run }: { run: Run }) {
  const [asked, setAsked] = useState<"cancel" | "resume" | "again">();
  const close = () => setAsked(undefined);
  if (!terminalRunStates.includes(run.state)) {
    return (
      <>
        <Button look="danger" disabled={run.cancelRequested} onClick={() => setAsked("cancel")}>
          {run.cancelRequested ? "Cancelling…" : "Cancel"}
        </Button>
        {asked === "cancel" && <CancelRun run={run} onClose={close} />}
      </>
    );
  }
  return (
    <>
      <Button onClick={() => setAsked("again")}>Run again</Button>
      {run.state !== "succeeded" && (
        <Button look="primary" onClick={() => setAsked("resume")}>
          Resume
        </Button>
      )}
      {asked !== undefined && asked !== "cancel" && <StartRun run={run} kind={asked} onClose={close} />}
    </>
  );
}

function CancelRun({ run, onClose }: { run: Run; onClose: () => void }) {
  const queries = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => client.call("runs.cancel", { params: { runId: run.id } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["runs.get", run.id] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Cancel this run of ${run.pipeline}?`}
      action="Cancel the run"
      look="danger"
      isBusy={cancel.isPending}
      error={cancel.error}
      onConfirm={() => cancel.mutate()}
      onClose={onClose}
    >
      <p>
        Its steps are asked to stop, and ended after their grace period. What is finished stays, and the run can be
        resumed.
      </p>
    </Confirm>
  );
}

function StartRun({ run, kind, onClose }: { run: Run; kind: "resume" | "again"; onClose: () => void }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const start = useMutation({
    mutationFn: () =>
      kind === "resume"
        ? client.call("runs.resume", { params: { runId: run.id }, body: {} })
        : client.call("runs.create", {
            body: {
              pipeline: run.pipeline,
              params: run.params,
              stack: run.stack,
              ...(run.logicalDate === undefined ? {} : { logicalDate: run.logicalDate }),
            },
          }),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: ["runs.list"] });
      onClose();
      await navigate({ to: "/runs/$runId", params: { runId: made.id }, search: {} });
    },
  });
  return (
    <Confirm
      title={kind === "resume" ? "Resume this run?" : `Run ${run.pipeline} again?`}
      action={kind === "resume" ? "Resume" : "Run"}
      isBusy={start.isPending}
      error={start.error}
      onConfirm={() => start.mutate()}
      onClose={onClose}
    >
      {kind === "resume" ? (
        <p>
          A new run goes on where this one ended, with the same parameters: finished steps are taken over, the others
          run.
        </p>
      ) : (
        <p>
          The pipeline as it is now runs with the same parameters on <b>{run.stack}</b>. Steps of which nothing changed
          come from the cache.
        </p>
      )}
    </Confirm>
  );
}
