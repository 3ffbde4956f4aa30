import type { Json } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { gatherStory } from "../report/gather-story.ts";
import { storyPage } from "../report/page.ts";
import { terminalLines } from "../report/terminal-lines.ts";

export function reportHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"report">> {
  return {
    "report.get": async () => {
      const story = await gatherStory(plane);
      return JSON.parse(JSON.stringify({ ...story, lines: terminalLines(story) })) as Json;
    },
    "report.html": async () => ({
      body: storyPage(await gatherStory(plane)),
      contentType: "text/html; charset=utf-8",
      fileName: "espalier-report.html",
    }),
  };
}
