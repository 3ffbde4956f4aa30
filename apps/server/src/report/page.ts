import { drawGates } from "./gate-plot.ts";
import { escapeHtml } from "./markup.ts";
import { monitorPlots } from "./monitor-plots.ts";
import { pageStyle } from "./page-style.ts";
import { drawPlot } from "./plot.ts";
import type { Milestone, MonitorStory, Retraining, SampleTable, Story } from "./story.ts";

/** The story as one file of HTML that needs nothing else. */
export function storyPage(story: Story): string {
  const body = [
    `<p class="soft">Espalier report</p><h1>${escapeHtml(story.project)}</h1>`,
    ...story.headline.map((line) => `<p class="lead">${escapeHtml(line)}</p>`),
    milestoneSection(story.milestones),
    retrainingSection(story.retrainings),
    gateSection(story),
    monitorSection(story.monitors, story.retrainings),
    sampleSection(story.samples),
    lineageSection(story),
    `<footer>Gathered from the record of the project ${escapeHtml(story.project)} on ${escapeHtml(story.gatheredAt.slice(0, 16).replace("T", " "))} UTC. Points and marks say more when the pointer rests on them.</footer>`,
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(story.project)}: report</title><style>${pageStyle}</style></head>
<body><main>${body.join("\n")}</main></body></html>
`;
}

function section(title: string, content: string): string {
  return content === "" ? "" : `<section><h2>${escapeHtml(title)}</h2>${content}</section>`;
}

function milestoneSection(milestones: readonly Milestone[]): string {
  const items = milestones.map(({ number, title, lines }) => {
    const told = lines.length === 0 ? ["Nothing yet."] : lines;
    const shown = told.slice(0, 4).map(paragraph).join("");
    const rest = told.slice(4).map(paragraph).join("");
    const more = rest === "" ? "" : `<details><summary>${told.length - 4} more</summary>${rest}</details>`;
    return `<li class="${lines.length === 0 ? "empty" : ""}"><span class="number">${number}</span><b>${escapeHtml(title)}</b><div>${shown}${more}</div></li>`;
  });
  return section("The thirteen milestones", `<ol class="milestones">${items.join("")}</ol>`);
}

function paragraph(line: string): string {
  return `<p>${escapeHtml(line)}</p>`;
}

function retrainingSection(retrainings: readonly Retraining[]): string {
  if (retrainings.length === 0) return "";
  const rows = retrainings.map((one) => {
    const tone = one.outcome === "rolled out" ? "good" : one.outcome === "unchanged" ? "quiet" : "bad";
    return row(
      [one.date, one.trigger, `<span class="pill ${tone}">${one.outcome}</span>`, one.version ?? "", one.sentence],
      2,
    );
  });
  return section("Retrainings", table(["date", "started by", "outcome", "version", "why"], rows));
}

function gateSection(story: Story): string {
  if (story.gates.length === 0) return "";
  const rows = story.gates.map((gate) =>
    row(
      [
        gate.date ?? "by hand",
        gate.candidate,
        `<span class="pill ${gate.allowed ? "good" : "bad"}">${gate.allowed ? "let through" : escapeHtml(gate.outcome)}</span>`,
        `${gate.reasons.slice(0, 3).join(" ")}${gate.blocks === undefined ? "" : ` (${gate.blocks})`}`,
      ],
      2,
    ),
  );
  return section(
    "Decisions of the gate",
    drawGates(story.gates) + table(["date", "candidate", "decision", "on what"], rows),
  );
}

function monitorSection(monitors: readonly MonitorStory[], retrainings: readonly Retraining[]): string {
  const parts = monitors.map((monitor) => {
    const plots = monitorPlots(monitor, retrainings).map(drawPlot).join("");
    const alerts = monitor.windows.filter((window) => window.status === "alert");
    const told = alerts.map((window) =>
      row([`${window.from} to ${window.to}`, window.served ?? "", window.summary, window.action ?? ""]),
    );
    const list =
      told.length === 0
        ? `<p class="soft">${escapeHtml(monitor.name)}: no alert in ${monitor.windows.length} windows.</p>`
        : table([`alerts of ${monitor.name}`, "served", "why", "then"], told);
    return `${plots}${list}`;
  });
  return section("What the monitors saw", parts.join(""));
}

function sampleSection(samples: readonly SampleTable[]): string {
  const parts = samples.map(
    (sample) =>
      `<p><b>${escapeHtml(sample.title)}</b></p>${table(
        sample.columns,
        sample.rows.map((cells) => row(cells)),
      )}<p></p>`,
  );
  return section("Rows that rules found", parts.join(""));
}

function lineageSection(story: Story): string {
  if (story.lineage.length === 0) return "";
  const items = story.lineage.map(
    ({ kind, title, detail }) =>
      `<li><span class="kind">${escapeHtml(kind)}</span><b>${escapeHtml(title)}</b><small>${escapeHtml(detail)}</small></li>`,
  );
  return section("From one prediction back to its rows", `<ol class="chain">${items.join("")}</ol>`);
}

function table(head: readonly string[], rows: readonly string[]): string {
  const cells = head.map((name) => `<th>${escapeHtml(name)}</th>`).join("");
  return `<table><thead><tr>${cells}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

/** `markup` is the index of the one cell that is markup already. */
function row(cells: readonly string[], markup = -1): string {
  return `<tr>${cells.map((cell, index) => `<td>${index === markup ? cell : escapeHtml(cell)}</td>`).join("")}</tr>`;
}
