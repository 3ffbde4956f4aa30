import type { ControlPlane } from "../../control-plane.ts";
import { toRunInfo } from "../../db/queries/tracking/run-data.ts";
import type { RunTexts } from "../../db/queries/tracking/search-run-texts.ts";
import { experimentDocument } from "../experiment-document.ts";
import { optionalText, textList } from "../fields.ts";
import { experimentGrammar } from "../filter/experiment-grammar.ts";
import { parseFilter } from "../filter/parse-filter.ts";
import { parseOrder } from "../filter/parse-order.ts";
import { runGrammar } from "../filter/run-grammar.ts";
import { invalidParameter } from "../limits.ts";
import type { MlflowCall, MlflowRoute } from "../mlflow-route.ts";
import { runInfoDocument } from "../run-document.ts";
import { requireExperiment } from "../scope.ts";
import { pageOf, stagesOf } from "../search-page.ts";
import { experimentIdOf } from "../tracked.ts";

/** One page of runs. */
export interface PageBounds {
  /** By one statement, and two statements at once; between them other requests are answered. */
  runsARead: number;
  /** A page that has grown to so many characters ends early, with the token of the next: clients go on from there. */
  longestPage: number;
}

const usualBounds: PageBounds = { runsARead: 500, longestPage: 64 * 1024 * 1024 };
const experimentsARead = 500;
const mostDatasetExperiments = 20;

/** Searches of runs, experiments and data sets. */
export function searchRoutes({ record }: ControlPlane, bounds = usualBounds): MlflowRoute[] {
  const { search, experiments } = record.tracking;
  const { runsARead, longestPage } = bounds;

  const searchRuns = async ({ fields, scope, signal }: MlflowCall): Promise<string> => {
    const page = pageOf(fields);
    const stages = stagesOf(fields, "run_view_type");
    const filter = parseFilter(optionalText(fields, "filter"), runGrammar);
    const order = parseOrder(textList(fields, "order_by"), runGrammar);
    const experimentIds = [...new Set(textList(fields, "experiment_ids").map(experimentIdOf))];
    for (const id of experimentIds) requireExperiment(scope, id);

    const found = await search.runs({ experimentIds, stages, filter, order }, page, signal);
    const documents: string[] = [];
    let length = 0;
    let read = 0;
    while (read < found.ids.length && length < longestPage) {
      const [first, second] = [read, read + runsARead].map((start) => found.ids.slice(start, start + runsARead));
      const texts = await Promise.all([first ?? [], second ?? []].map((ids) => search.runTexts(ids, signal)));
      for (const run of texts.flat()) {
        const document = runText(run);
        length += document.length;
        documents.push(document);
      }
      read += 2 * runsARead;
    }
    const next =
      read < found.ids.length || found.hasMore ? found.cursorAfter(Math.min(read, found.ids.length) - 1) : undefined;
    const members = [
      ...(documents.length === 0 ? [] : [`"runs":[${documents.join(",")}]`]),
      ...(next === undefined ? [] : [`"next_page_token":${JSON.stringify(next)}`]),
    ];
    return `{${members.join(",")}}`;
  };

  const searchExperiments = async ({ fields, scope, signal }: MlflowCall): Promise<object> => {
    const page = pageOf(fields);
    const filter = parseFilter(optionalText(fields, "filter"), experimentGrammar).map((comparison) =>
      comparison.key === "experiment_id" && comparison.entity === "attribute"
        ? { ...comparison, value: idsOf(comparison.value) }
        : comparison,
    );
    const order = parseOrder(textList(fields, "order_by"), experimentGrammar);
    const onlyOwn = scope.kind === "experiment" ? { onlyId: scope.experimentId } : {};
    const stages = stagesOf(fields, "view_type");
    const found = await search.experiments({ stages, filter, order, ...onlyOwn }, page, signal);
    const documents: object[] = [];
    for (let read = 0; read < found.rows.length; read += experimentsARead) {
      const rows = await experiments.withTags(found.rows.slice(read, read + experimentsARead));
      documents.push(...rows.map(experimentDocument));
    }
    return {
      ...(documents.length === 0 ? {} : { experiments: documents }),
      ...(found.next === undefined ? {} : { next_page_token: found.next }),
    };
  };

  const searchDatasets = async ({ fields, scope, signal }: MlflowCall): Promise<object> => {
    const ids = textList(fields, "experiment_ids").map(experimentIdOf);
    if (ids.length === 0) invalidParameter("SearchDatasets request must specify at least one experiment_id.");
    if (ids.length > mostDatasetExperiments) {
      invalidParameter(
        `SearchDatasets request cannot specify more than ${mostDatasetExperiments} experiment_ids. Received ${ids.length} experiment_ids.`,
      );
    }
    for (const id of ids) requireExperiment(scope, id);
    const found = await search.datasets([...new Set(ids)], signal);
    const summaries = found.map(({ context, ...summary }) => (context === null ? summary : { ...summary, context }));
    return summaries.length === 0 ? {} : { dataset_summaries: summaries };
  };

  const read = { api: "2.0", access: "read" } as const;
  return [
    { ...read, method: "POST", path: "/mlflow/runs/search", handle: searchRuns },
    { ...read, method: "POST", path: "/mlflow/experiments/search", handle: searchExperiments },
    { ...read, method: "GET", path: "/mlflow/experiments/search", handle: searchExperiments },
    { ...read, method: "POST", path: "/mlflow/experiments/search-datasets", handle: searchDatasets },
  ];
}

/** As `runDocument` has it, out of the texts that the database made. */
function runText(run: RunTexts): string {
  const lists = (members: Readonly<Record<string, string>>): string =>
    Object.entries(members)
      .flatMap(([name, items]) => (items === "[]" ? [] : [`"${name}":${items}`]))
      .join(",");
  const { metrics, params, tags, dataset_inputs, model_inputs, model_outputs } = run;
  return `{"info":${JSON.stringify(runInfoDocument(toRunInfo(run)))},"data":{${lists({ metrics, params, tags })}},"inputs":{${lists({ dataset_inputs, model_inputs })}},"outputs":{${lists({ model_outputs })}}}`;
}

function idsOf(value: unknown): string | string[] {
  return Array.isArray(value) ? value.map((one) => experimentIdOf(String(one))) : experimentIdOf(String(value));
}
