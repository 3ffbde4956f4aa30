import type { PythonModel } from "../python/python-model.ts";
import type { FeatureBatch } from "./feature-batches.ts";
import { scoreBatch } from "./score-batch.ts";
import type { ScoringReply } from "./scoring-message.ts";
import type { Scorer } from "./scoring-pool.ts";

/** Processes that run one Python model, one batch at a time each. */
export class PythonPool implements Scorer {
  readonly #models: readonly PythonModel[];
  readonly #free: PythonModel[];
  readonly #places: (() => void)[] = [];

  constructor(models: readonly PythonModel[]) {
    this.#models = models;
    this.#free = [...models];
  }

  async submit(
    { rows, feeds }: Pick<FeatureBatch, "rows" | "feeds">,
    stopsAtFirst: boolean,
  ): Promise<{ reply: Promise<ScoringReply> }> {
    let model = this.#free.pop();
    while (model === undefined) {
      await new Promise<void>((resolve) => this.#places.push(resolve));
      model = this.#free.pop();
    }
    const taken = model;
    const reply = scoreBatch(taken.run, { id: 0, rows, feeds, stopsAtFirst }).finally(() => {
      this.#free.push(taken);
      this.#places.shift()?.();
    });
    return { reply };
  }

  async close(): Promise<void> {
    await Promise.all(this.#models.map((model) => model.close()));
  }
}
