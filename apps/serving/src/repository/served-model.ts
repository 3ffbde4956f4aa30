import type { Capture } from "../capture/capture.ts";
import type { LoadedModel } from "../model/model.ts";
import type { ModelStatistics } from "./statistics.ts";

/** Which version of which model, and the folder that it is loaded from. */
export interface ModelSource {
  name: string;
  version: string;
  folder: string;
}

/** What `open` makes of a folder. */
export interface OpenedModel {
  model: LoadedModel;
  capture: Capture | undefined;
}

/** One loaded version, for as long as requests hold it. */
export interface ServedModel extends ModelSource, OpenedModel {
  statistics: ModelStatistics;
  /** Keeps it from being released while a request uses it; every `hold` needs its `letGo`. */
  hold(): void;
  letGo(): void;
  /** No request of it is left. New ones must not come by then. */
  idle(): Promise<void>;
}

/** Whether it can be asked now: what runs a model, such as a Python worker, may be away. */
export function canAnswer({ model }: ServedModel): boolean {
  return model.isReady?.() !== false;
}

export function createServedModel(source: ModelSource, opened: OpenedModel, statistics: ModelStatistics): ServedModel {
  let held = 0;
  let whenIdle: (() => void) | undefined;
  return {
    ...source,
    ...opened,
    statistics,
    hold() {
      held++;
    },
    letGo() {
      held--;
      if (held === 0) whenIdle?.();
    },
    idle() {
      if (held === 0) return Promise.resolve();
      return new Promise((resolve) => {
        whenIdle = resolve;
      });
    },
  };
}
