import { describeTools } from "./all-manifests.ts";

/** `docs/tools.md`, made from the manifests alone: what is verified against what is never told by hand. */
export async function toolsDocument(): Promise<string> {
  const manifests = (await describeTools()).map(({ manifest }) => manifest);
  manifests.sort((a, b) => a.milestone - b.milestone || (a.tool < b.tool ? -1 : 1));
  const lines = [
    "# Tools",
    "",
    "Generated from the tools' manifests by `node packages/host/src/generate-schemas-main.ts`; a test keeps it current.",
    "",
    "`real`: tested against the real server or platform, named with its version. `emulator`: against an independent emulator. `contract`: requests",
    "validated against the vendor's API description. The thirteen milestones are those of the README; 0 is the foundation.",
    "",
    "| milestone | component | tool | provider | verified | skills | what it is | what is lost |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
  ];
  for (const { milestone, component, tool, provider, verified, skills, summary, losses } of manifests) {
    const live = verified.live === "not applicable" || verified.live === "yes" ? "" : `; ${verified.live}`;
    const cells = [
      String(milestone),
      component,
      `\`${tool}\``,
      provider,
      `${verified.label}: ${verified.against}${live}`,
      skills.join(", ") || "none",
      summary,
      (losses ?? []).join("; ") || "nothing",
    ];
    lines.push(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  }
  return `${lines.join("\n")}\n`;
}
