import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { client } from "../../api/client.ts";
import { Page } from "../../ui/page.tsx";
import { Loading, Problem } from "../../ui/states.tsx";
import { AdviceResult } from "./advice-result.tsx";
import { AnswersForm } from "./answers-form.tsx";
import { type Answers, firstDraft, longestAddress } from "./draft.ts";

const route = getRouteApi("/advise");

/** `espalier advise` as a page: the answers on top, the advice below, and what was asked in the address. */
export function AdvisePage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [draft, setDraft] = useState<Answers>();
  const [kept, setKept] = useState<Answers>();
  const questions = useQuery({
    queryKey: ["advice.questions"],
    queryFn: () => client.call("advice.questions"),
    staleTime: 60_000,
  });
  const asked = kept ?? search.answers ?? questions.data?.answers;
  const answers = draft ?? asked ?? firstDraft;
  const advice = useQuery({
    queryKey: ["advice.ask", asked],
    queryFn: () => client.call("advice.ask", { body: { answers: asked as Answers } }),
    enabled: asked !== undefined,
    // The same answers give the same advice; while others are weighed the last stays in sight.
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: (before) => before,
    retry: false,
  });
  const submit = () => {
    const fits = JSON.stringify(answers).length <= longestAddress;
    setKept(fits ? undefined : answers);
    void navigate({ search: fits ? { answers } : {}, replace: true });
  };
  return (
    <Page wide title="Which tool where?" documentTitle="Advise">
      {questions.isPending && <Loading what="the questions" />}
      {questions.isError && <Problem error={questions.error} retry={() => void questions.refetch()} />}
      {questions.data !== undefined && (
        <div className="space-y-6">
          <p className="max-w-prose text-muted">
            Cloud or open source is asked again at every milestone, and the answer depends much on what the team can do.
            Bounds first, then seven weighted criteria; every number can be traced to your answers and to the tools'
            manifests. Nothing is kept on the server.
          </p>
          <details open={asked === undefined}>
            <summary className="cursor-pointer rounded-lg py-2 font-serif text-xl">Your answers</summary>
            <div className="mt-3">
              <AnswersForm
                questions={questions.data}
                answers={answers}
                change={(part) => setDraft({ ...answers, ...part })}
                submit={submit}
              />
            </div>
          </details>
          {asked !== undefined && advice.isPending && <Loading what="the advice" />}
          {advice.isError && <Problem error={advice.error} />}
          {advice.data !== undefined && !advice.isError && <AdviceResult whole={advice.data} />}
        </div>
      )}
    </Page>
  );
}
