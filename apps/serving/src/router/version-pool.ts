import {
  durationBounds,
  durationQuantile,
  EspalierError,
  type RoutedVersion,
  type ServingLimits,
} from "@espalier/core";
import type { Replica } from "./replica.ts";
import type { ShadowTally } from "./shadow.ts";

interface Waiter {
  /** undefined: the version has left, and another is to be chosen. */
  resolve(replica: Replica | undefined): void;
  reject(error: Error): void;
  avoid: Replica | undefined;
  timer: NodeJS.Timeout;
}

const defaultConcurrency = 256;
const defaultQueue = 1024;
const bucketGrowth = Math.log(1.25);

/** The replicas of one version and the requests that wait for them. Counts outlive states and replicas, until the version leaves. */
export class VersionPool {
  target: RoutedVersion;
  readonly replicas: Replica[] = [];
  readonly durations = new Array<number>(durationBounds.length + 1).fill(0);
  requests = 0;
  errors = 0;
  retries = 0;
  shadow: ShadowTally | undefined;
  #concurrency = defaultConcurrency;
  #queueLimit = defaultQueue;
  readonly #waiting: Waiter[] = [];
  #next = 0;

  constructor(target: RoutedVersion) {
    this.target = target;
  }

  /** What a state says about the version; requests that wait are told. */
  configure(target: RoutedVersion, replicas: readonly Replica[], limits: ServingLimits | undefined): void {
    this.target = target;
    this.replicas.splice(0, this.replicas.length, ...replicas);
    this.#concurrency = limits?.concurrency ?? defaultConcurrency;
    this.#queueLimit = limits?.queue ?? defaultQueue;
    this.serveWaiting();
  }

  get queued(): number {
    return this.#waiting.length;
  }

  /** The least busy replica that may be asked, reserved; of equals the next in turn. `avoid` only when there is no other. */
  take(avoid?: Replica): Replica | undefined {
    let best: Replica | undefined;
    const { length } = this.replicas;
    for (let offset = 0; offset < length; offset++) {
      const replica = this.replicas[(this.#next + offset) % length] as Replica;
      if (!replica.up || replica.inFlight >= this.#concurrency || replica === avoid) continue;
      if (best === undefined || replica.inFlight < best.inFlight) best = replica;
    }
    if (best === undefined && avoid?.up && avoid.inFlight < this.#concurrency && this.replicas.includes(avoid)) {
      best = avoid;
    }
    if (best === undefined) return undefined;
    this.#next = (this.#next + 1) % length;
    best.inFlight++;
    return best;
  }

  hasOther(replica: Replica): boolean {
    return this.replicas.some((other) => other !== replica && other.up);
  }

  /** Waits its turn. Errors: RATE_LIMITED (too many wait), UNAVAILABLE (the time is up). */
  wait(milliseconds: number, avoid?: Replica): Promise<Replica | undefined> {
    const { model, version } = this.target;
    if (this.#waiting.length >= this.#queueLimit) {
      const message = `${this.#waiting.length} requests wait for version ${version} of ${model} already`;
      return Promise.reject(new EspalierError("RATE_LIMITED", message));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(new EspalierError("UNAVAILABLE", this.#whyNot(milliseconds)));
      }, milliseconds);
      const waiter: Waiter = { resolve, reject, avoid, timer };
      this.#waiting.push(waiter);
    });
  }

  #whyNot(milliseconds: number): string {
    const { model, version } = this.target;
    const waited = `Version ${version} of ${model} took no request within ${Math.round(milliseconds)} ms`;
    if (this.replicas.some(({ up }) => up)) return `${waited}: its replicas are busy`;
    const messages = this.replicas.map(({ message }) => message).filter((message) => message !== undefined);
    return `${waited}: no replica is ready${messages.length === 0 ? "" : ` (${[...new Set(messages)].join("; ")})`}`;
  }

  release(replica: Replica): void {
    replica.inFlight--;
    if (this.#waiting.length > 0) this.serveWaiting();
  }

  /** In order of arrival, as far as replicas are free. To be called when a replica comes up. */
  serveWaiting(): void {
    while (this.#waiting.length > 0) {
      const replica = this.take(this.#waiting[0]?.avoid);
      if (replica === undefined) return;
      const waiter = this.#waiting.shift() as Waiter;
      clearTimeout(waiter.timer);
      waiter.resolve(replica);
    }
  }

  /** The version has left the state: who waits chooses again. */
  retire(): void {
    for (const waiter of this.#waiting.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.resolve(undefined);
    }
    this.replicas.length = 0;
  }

  count(status: number, seconds: number): void {
    this.requests++;
    if (status >= 500) this.errors++;
    const bucket = Math.min(this.durations.length - 1, Math.max(0, Math.ceil(Math.log(seconds / 1e-4) / bucketGrowth)));
    this.durations[bucket] = (this.durations[bucket] ?? 0) + 1;
  }

  /** Seconds; absent without requests. */
  quantile(share: number): number | undefined {
    return durationQuantile(this.durations, share);
  }
}
