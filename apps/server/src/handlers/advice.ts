import { join } from "node:path";
import { advise, defaultWeights, isEspalierError, knownSkills, places } from "@espalier/core";
import { answersText, readAnswers, stackText, toolManifests } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";

export function adviceHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"advice">> {
  const file = join(plane.project.directory, "advice.yaml");
  return {
    "advice.questions": async () => {
      const answers = await readAnswers(file).catch((error: unknown) => {
        if (isEspalierError(error) && error.code === "NOT_FOUND") return undefined;
        throw error;
      });
      return {
        skills: Object.keys(knownSkills),
        milestones: places.map(({ milestone, title }) => ({ milestone, title })),
        weights: defaultWeights,
        ...(answers === undefined ? {} : { answers }),
      };
    },
    "advice.ask": async ({ body }) => {
      const { answers, today = new Date().toISOString().slice(0, 10) } = body;
      const whole = advise({ tools: toolManifests.map(({ manifest }) => manifest), answers, today });
      return { ...whole, stack: stackText("advised", whole), answers: answersText(answers) };
    },
  };
}
