import type { Answers } from "./answers.ts";
import type { Candidate, Place } from "./candidates.ts";
import { demandsOn, strainOf } from "./demand.ts";
import { monthlyDollars } from "./money.ts";

/** A bound that a candidate does not keep: it is out, whatever else speaks for it. */
export interface Exclusion {
  at: string;
  because: string;
}

type Limit = (candidate: Candidate, answers: Answers, place: Place, today: string) => Exclusion | undefined;

const isNew = ({ kind, running, provider }: Candidate): boolean =>
  kind === "tool" && running === undefined && provider !== "embedded";

/** Up to so many times of what a tool carries it only fits badly; beyond, it is no answer. */
const bearableStrain = 8;

const limits: readonly Limit[] = [
  (candidate, answers, place) => {
    if (candidate.kind !== "tool" || candidate.running !== undefined) return undefined;
    const [demand] = demandsOn(candidate, answers, place);
    if (demand === undefined || strainOf(demand) <= bearableStrain) return undefined;
    const { at, asked, unit, carried } = demand;
    return {
      at,
      because: `${asked} ${unit} are more than ${bearableStrain} times the ${carried} that ${candidate.name} carries`,
    };
  },
  ({ ownership, name }, { bounds }) =>
    bounds.air_gapped && ownership?.place === "cloud"
      ? { at: "bounds.air_gapped", because: `${name} is reached over the network, which an air gap forbids` }
      : undefined,
  ({ ownership, name }, { bounds }) =>
    bounds.residency === "on-premises" && ownership?.place === "cloud"
      ? { at: "bounds.residency", because: `data must stay on premises, and ${name} keeps it in a cloud` }
      : undefined,
  ({ provider, name, kind }, { bounds }) =>
    (kind === "tool" || kind === "keep") &&
    bounds.providers !== undefined &&
    provider !== "embedded" &&
    !bounds.providers.includes(provider ?? "custom")
      ? {
          at: "bounds.providers",
          because: `${name} is ${provider ?? "of no provider that the answers name"}, and only ${bounds.providers.join(", ")} may be used`,
        }
      : undefined,
  ({ name, provider }, { bounds }) =>
    bounds.refused.includes(name) || (provider !== undefined && bounds.refused.includes(provider))
      ? { at: "bounds.refused", because: `${name} is refused` }
      : undefined,
  (candidate, { bounds, ...answers }, place) => {
    const budget = bounds.budget_dollars_a_month;
    const dollars = monthlyDollars(candidate, { bounds, ...answers }, place)[0];
    return budget !== undefined && dollars > budget
      ? {
          at: "bounds.budget_dollars_a_month",
          because: `${candidate.name} costs at least ${Math.round(dollars)} $ a month of ${budget}`,
        }
      : undefined;
  },
  ({ ownership, name, running }, { bounds }) =>
    bounds.lock_in === "none" && running === undefined && (ownership?.lockIn ?? 0) >= 2
      ? {
          at: "bounds.lock_in",
          because: `leaving ${name} takes weeks (${ownership?.wayOut}), and no lock-in is tolerated`,
        }
      : undefined,
  (candidate, { bounds: { approval }, work }, _place, today) => {
    if (approval === undefined || work.by === undefined || !isNew(candidate)) return undefined;
    if (approval.approved.some((one) => one === candidate.name || one === candidate.provider)) return undefined;
    const weeks = weeksUntil(work.by, today);
    return approval.weeks > weeks
      ? {
          at: "bounds.approval.weeks",
          because: `${approval.who} takes ${approval.weeks} weeks over a new service, and ${work.by} is in ${Math.floor(weeks)}`,
        }
      : undefined;
  },
  ({ ownership, name, kind }, { work, machine }, { component }) =>
    component === "compute" && kind === "tool" && ownership?.place === "this machine" && work.gpus > machine.gpus
      ? {
          at: "work.gpus",
          because: `${name} has the ${machine.gpus} GPUs of this machine, and ${work.gpus} are needed`,
        }
      : undefined,
  ({ ownership, name, kind }, { work, machine }, { component }) =>
    component === "artifacts" &&
    kind === "tool" &&
    ownership?.place === "this machine" &&
    work.data_gigabytes > machine.disk_gigabytes
      ? {
          at: "work.data_gigabytes",
          because: `${work.data_gigabytes} GB do not fit on the ${machine.disk_gigabytes} GB of ${name}'s disk`,
        }
      : undefined,
];

export function exclusionsOf(candidate: Candidate, answers: Answers, place: Place, today: string): Exclusion[] {
  return limits.flatMap((limit) => limit(candidate, answers, place, today) ?? []);
}

export function weeksUntil(date: string, today: string): number {
  return (Date.parse(date) - Date.parse(today)) / (7 * 24 * 3600 * 1000);
}
