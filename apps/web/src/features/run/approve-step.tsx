import type { Run } from "@espalier/contract";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { client } from "../../api/client.ts";
import { Button, fieldClass } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { approvalsQuery } from "./queries.ts";

type Decision = "approve" | "reject";

/** A step that waits for a person: what it asks, and the two answers. */
export function ApproveStep({ run, step }: { run: Run; step: string }) {
  const [decision, setDecision] = useState<Decision>();
  const waiting = useQuery(approvalsQuery()).data?.items.find((one) => one.runId === run.id && one.step === step);
  return (
    <div className="flex flex-wrap items-center justify-between gap-3 border-b border-line bg-warn-soft px-5 py-4">
      <p className="font-medium wrap-anywhere">{waiting?.message ?? `${step} waits for a person`}</p>
      <div className="flex gap-2">
        <Button look="danger" onClick={() => setDecision("reject")}>
          Reject
        </Button>
        <Button look="primary" onClick={() => setDecision("approve")}>
          Approve
        </Button>
      </div>
      {decision !== undefined && (
        <Decide run={run} step={step} decision={decision} onClose={() => setDecision(undefined)} />
      )}
    </div>
  );
}

function Decide({ run, step, decision, onClose }: { run: Run; step: string; decision: Decision; onClose: () => void }) {
  const queries = useQueryClient();
  const [comment, setComment] = useState("");
  const field = useId();
  const decide = useMutation({
    mutationFn: () =>
      client.call("runs.approve", {
        params: { runId: run.id, step },
        body: { decision, ...(comment.trim() === "" ? {} : { comment: comment.trim() }) },
      }),
    onSuccess: async () => {
      await Promise.all([
        queries.invalidateQueries({ queryKey: ["runs.get", run.id] }),
        queries.invalidateQueries({ queryKey: ["approvals.list"] }),
      ]);
      onClose();
    },
  });
  return (
    <Confirm
      title={decision === "approve" ? `Approve ${step}?` : `Reject ${step}?`}
      action={decision === "approve" ? "Approve" : "Reject"}
      look={decision === "approve" ? "primary" : "danger"}
      isBusy={decide.isPending}
      error={decide.error}
      onConfirm={() => decide.mutate()}
      onClose={onClose}
    >
      <p>
        {decision === "approve"
          ? "The run goes on with the steps that wait for it."
          : "The steps that wait for it are skipped. It can not be taken back."}
      </p>
      <label htmlFor={field} className="block font-medium">
        Comment, kept with the decision
      </label>
      <textarea
        id={field}
        rows={3}
        maxLength={2000}
        value={comment}
        onChange={(event) => setComment(event.target.value)}
        className={`${fieldClass} w-full py-2`}
      />
    </Confirm>
  );
}
