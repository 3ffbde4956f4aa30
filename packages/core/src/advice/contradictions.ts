import type { Provider } from "../manifest.ts";
import type { Answers } from "./answers.ts";

export interface Contradiction {
  /** Places in the answers that can not all hold. */
  at: string[];
  message: string;
}

const clouds: readonly Provider[] = ["aws", "google", "azure"];
const isCloud = (provider: Provider | undefined): boolean => provider !== undefined && clouds.includes(provider);

/** Bounds that exclude each other: no tool could be advised, and which of them is meant only the team knows. */
export function contradictions(answers: Answers, today: string): Contradiction[] {
  const { bounds, work, running } = answers;
  const found: Contradiction[] = [];
  const onlyClouds = bounds.providers?.every(isCloud) ?? false;
  const named = bounds.providers?.join(", ") ?? "";
  if (bounds.air_gapped && onlyClouds) {
    found.push({
      at: ["bounds.air_gapped", "bounds.providers"],
      message: `An air gap and only ${named} exclude each other: a cloud is reached over the network.`,
    });
  }
  if (bounds.residency === "on-premises" && onlyClouds) {
    found.push({
      at: ["bounds.residency", "bounds.providers"],
      message: `Data that must stay on premises and only ${named} exclude each other.`,
    });
  }
  if (bounds.budget_dollars_a_month === 0 && onlyClouds) {
    found.push({
      at: ["bounds.budget_dollars_a_month", "bounds.providers"],
      message: `A budget of 0 and only ${named} exclude each other: their services are paid by use.`,
    });
  }
  for (const [index, provider] of (bounds.providers ?? []).entries()) {
    if (!bounds.refused.includes(provider)) continue;
    found.push({
      at: [`bounds.providers[${index}]`, "bounds.refused"],
      message: `${provider} is refused, and among those that may be used.`,
    });
  }
  for (const [index, { tool, provider }] of running.entries()) {
    if (!isCloud(provider)) continue;
    const place = `running[${index}]`;
    if (bounds.air_gapped) {
      found.push({ at: ["bounds.air_gapped", place], message: `${tool} runs in a cloud, which an air gap forbids.` });
    }
    if (bounds.residency === "on-premises") {
      found.push({
        at: ["bounds.residency", place],
        message: `${tool} runs in a cloud, and data must stay on premises.`,
      });
    }
  }
  for (const [index, { tool }] of running.entries()) {
    if (bounds.refused.includes(tool)) {
      found.push({ at: ["bounds.refused", `running[${index}]`], message: `${tool} is refused, and it runs already.` });
    }
  }
  if (work.serving !== "online" && work.requests_a_second > 0) {
    found.push({
      at: ["work.serving", "work.requests_a_second"],
      message: `${work.requests_a_second} requests a second need online serving, and serving is "${work.serving}".`,
    });
  }
  if (work.by !== undefined && work.by < today) {
    found.push({ at: ["work.by"], message: `${work.by} has passed; today is ${today}.` });
  }
  const names = answers.people.map(({ name }) => name);
  for (const name of new Set(names.filter((one, index) => names.indexOf(one) !== index))) {
    found.push({ at: ["people"], message: `${name} is named twice; whoever can repair something counts once.` });
  }
  return found;
}
