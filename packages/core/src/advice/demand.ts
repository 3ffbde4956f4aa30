import type { Answers } from "./answers.ts";
import type { Candidate, Place } from "./candidates.ts";

export interface Demand {
  at: string;
  asked: number;
  /** Absent: no limit is known. */
  carried: number | undefined;
  unit: string;
}

/** How much of the work meets a tool of a component, the heaviest demand first; none where amounts do not matter. */
export function demandsOn({ ownership }: Candidate, { work }: Answers, { component }: Place): Demand[] {
  const { dataGigabytes, trainingHours, trainingHoursAMonth, requestsASecond } = ownership?.carries ?? {};
  const { data_gigabytes, training_hours, runs_a_month, requests_a_second } = work;
  switch (component) {
    case "artifacts":
      return [{ at: "work.data_gigabytes", asked: data_gigabytes, carried: dataGigabytes, unit: "GB" }];
    case "compute":
      return [
        { at: "work.training_hours", asked: training_hours, carried: trainingHours, unit: "training hours a run" },
        {
          at: "work.runs_a_month",
          asked: training_hours * runs_a_month,
          carried: trainingHoursAMonth,
          unit: "training hours a month",
        },
      ].sort((one, other) => strainOf(other) - strainOf(one));
    case "deploy":
      return [
        { at: "work.requests_a_second", asked: requests_a_second, carried: requestsASecond, unit: "requests a second" },
      ];
    default:
      return [];
  }
}

/** Above 1 the tool is beyond what it carries. */
export function strainOf({ asked, carried }: Demand): number {
  return carried === undefined ? 0 : asked / carried;
}
