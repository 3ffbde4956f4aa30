import type { RoutedVersion, RouterState } from "@espalier/core";
import { createReplica, type Replica } from "./replica.ts";
import { VersionPool } from "./version-pool.ts";

/** A state with the replicas of each of its versions, in the order of the versions. */
interface Plan {
  state: RouterState;
  replicas: Replica[][];
}

interface InForce extends Plan {
  pools: VersionPool[];
}

const downMilliseconds = 100;
const upMilliseconds = 1000;

/**
 * Which replicas are in force. A wanted state comes into force at one instant, once every version with a weight has a replica that is
 * ready; until then the old one stays. What leaves is closed when its last request is answered.
 */
export class Upstreams {
  inForce: InForce | undefined;
  /** Newer than `inForce` while its versions are not ready. */
  wanted: Plan | undefined;
  readonly draining = new Set<Replica>();
  #closed = false;
  #bringing = false;
  #watching: NodeJS.Timeout | undefined;
  #looks = 0;

  /** Of the versions in force, in the state's order. */
  get pools(): readonly VersionPool[] {
    return this.inForce?.pools ?? [];
  }

  want(state: RouterState): void {
    const current = this.wanted?.state ?? this.inForce?.state;
    if (current !== undefined && JSON.stringify(current) === JSON.stringify(state)) return;
    const known = [this.inForce, this.wanted];
    const replicas = state.versions.map((version) => {
      const ports = [version.port, ...(version.replicaPorts ?? [])];
      return [...new Set(ports)].map(
        (port) => reuse(known, version, port) ?? createReplica(replicaTarget(version, port)),
      );
    });
    const superseded = this.wanted;
    this.wanted = { state, replicas };
    this.#release(superseded);
    void this.#bringIntoForce();
    this.#watching ??= setInterval(() => this.#watch(), downMilliseconds).unref();
  }

  /** Probes until the wanted state is in force; one loop at a time, which always looks at the newest wanted state. */
  async #bringIntoForce(): Promise<void> {
    if (this.#bringing) return;
    this.#bringing = true;
    try {
      while (this.wanted !== undefined && !this.#closed) {
        const candidate = this.wanted;
        await Promise.all(this.#unproven(candidate).map((replica) => replica.probe()));
        if (this.wanted !== candidate) continue;
        const isReady = candidate.state.versions.every(
          ({ weight }, index) => weight === 0 || candidate.replicas[index]?.some(({ up }) => up),
        );
        if (isReady) this.#switchTo(candidate);
        else await new Promise((resolve) => setTimeout(resolve, 50).unref());
      }
    } finally {
      this.#bringing = false;
    }
  }

  /** Only what carries traffic now is known well enough: of another the last look may be a second old. */
  #unproven(candidate: Plan): Replica[] {
    const carrying = this.pools.filter(({ target }) => target.weight > 0).flatMap((pool) => pool.replicas);
    return candidate.replicas.flat().filter((replica) => !replica.up || !carrying.includes(replica));
  }

  /** Counts go with the version that leaves: a rollout that brings it back is not to be judged by what it did before. */
  #switchTo(next: Plan): void {
    const previous = this.inForce;
    const pools = next.state.versions.map((version, index) => {
      const pool = previous?.pools.find(({ target }) => target.key === version.key) ?? new VersionPool(version);
      pool.configure(version, next.replicas[index] ?? [], next.state.limits);
      return pool;
    });
    this.inForce = { ...next, pools };
    this.wanted = undefined;
    for (const pool of previous?.pools ?? []) if (!pools.includes(pool)) pool.retire();
    this.#release(previous);
  }

  /** A replica that is down is asked often, one that is up now and then: this is what takes it out and lets it in again. */
  #watch(): void {
    this.#looks = (this.#looks + 1) % (upMilliseconds / downMilliseconds);
    for (const pool of this.pools) {
      for (const replica of pool.replicas) {
        if (replica.up && this.#looks !== 0) continue;
        void this.look(pool, replica);
      }
    }
  }

  async look(pool: VersionPool, replica: Replica): Promise<void> {
    const wasUp = replica.up;
    if ((await replica.probe()) && !wasUp) pool.serveWaiting();
  }

  #isUsed(replica: Replica): boolean {
    return [this.inForce, this.wanted].some((plan) => plan?.replicas.some((group) => group.includes(replica)) ?? false);
  }

  #release(plan: Plan | undefined): void {
    for (const replica of plan?.replicas.flat() ?? []) {
      if (this.#isUsed(replica) || this.draining.has(replica)) continue;
      this.draining.add(replica);
      this.closeIfIdle(replica);
    }
  }

  /** To be called when a request of a draining replica is answered. */
  closeIfIdle(replica: Replica): void {
    if (!this.draining.has(replica) || replica.inFlight > 0) return;
    this.draining.delete(replica);
    void replica.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watching);
    for (const pool of this.pools) pool.retire();
    const plans = [this.inForce, this.wanted].flatMap((plan) => plan?.replicas.flat() ?? []);
    await Promise.all([...new Set([...plans, ...this.draining])].map((replica) => replica.close()));
  }
}

function replicaTarget(version: RoutedVersion, port: number) {
  return { model: version.model, version: version.version, port, healthPath: version.healthPath };
}

function reuse(plans: readonly (Plan | undefined)[], { key }: RoutedVersion, port: number): Replica | undefined {
  for (const plan of plans) {
    const index = plan?.state.versions.findIndex((version) => version.key === key) ?? -1;
    const found = plan?.replicas[index]?.find((replica) => replica.port === port);
    if (found !== undefined) return found;
  }
  return undefined;
}
