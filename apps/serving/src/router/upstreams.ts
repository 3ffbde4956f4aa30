import type { RoutedVersion, RouterState } from "@espalier/core";
import { createUpstream, type Upstream } from "./upstream.ts";

export interface InForce {
  state: RouterState;
  upstreams: Upstream[];
}

/**
 * Which upstreams are in force. A wanted state comes into force at one instant, once every version with a weight is ready; until then the
 * old one stays. What leaves is closed when its last request is answered.
 */
export class Upstreams {
  inForce: InForce | undefined;
  /** Newer than `inForce` while its versions are not ready. */
  wanted: InForce | undefined;
  readonly draining = new Set<Upstream>();
  #closed = false;
  #probing = false;

  want(state: RouterState): void {
    const current = this.wanted?.state ?? this.inForce?.state;
    if (current !== undefined && JSON.stringify(current) === JSON.stringify(state)) return;
    const known = [...(this.inForce?.upstreams ?? []), ...(this.wanted?.upstreams ?? [])];
    const upstreams = state.versions.map((version) => reuse(known, version) ?? createUpstream(version));
    const superseded = this.wanted;
    this.wanted = { state, upstreams };
    for (const upstream of superseded?.upstreams ?? []) this.#release(upstream);
    void this.#bringIntoForce();
  }

  /** Probes until the wanted state is in force; one loop at a time, which always looks at the newest wanted state. */
  async #bringIntoForce(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    try {
      while (this.wanted !== undefined && !this.#closed) {
        const candidate: InForce = this.wanted;
        const weighted = candidate.upstreams.filter((_, index) => (candidate.state.versions[index]?.weight ?? 0) > 0);
        const answers = await Promise.all(weighted.map((upstream) => upstream.probe()));
        if (this.wanted !== candidate) continue;
        if (answers.every(Boolean)) this.#switchTo(candidate);
        else await new Promise((resolve) => setTimeout(resolve, 50).unref());
      }
    } finally {
      this.#probing = false;
    }
  }

  #switchTo(next: InForce): void {
    const previous = this.inForce;
    this.inForce = next;
    this.wanted = undefined;
    for (const upstream of previous?.upstreams ?? []) this.#release(upstream);
  }

  #isUsed(upstream: Upstream): boolean {
    return (
      (this.inForce?.upstreams.includes(upstream) ?? false) || (this.wanted?.upstreams.includes(upstream) ?? false)
    );
  }

  #release(upstream: Upstream): void {
    if (this.#isUsed(upstream) || this.draining.has(upstream)) return;
    this.draining.add(upstream);
    this.closeIfIdle(upstream);
  }

  /** To be called when a request of a draining upstream is answered. */
  closeIfIdle(upstream: Upstream): void {
    if (!this.draining.has(upstream) || upstream.inFlight > 0) return;
    this.draining.delete(upstream);
    void upstream.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const all = new Set([...(this.inForce?.upstreams ?? []), ...(this.wanted?.upstreams ?? []), ...this.draining]);
    await Promise.all([...all].map((upstream) => upstream.close()));
  }
}

/** A version whose server moved to another port is another upstream, but keeps what was counted about it. */
function reuse(known: readonly Upstream[], version: RoutedVersion): Upstream | undefined {
  const same = known.find(({ target }) => target.key === version.key);
  if (same === undefined) return undefined;
  if (same.target.port === version.port) return same;
  const moved = createUpstream(version);
  moved.requests = same.requests;
  moved.errors = same.errors;
  return moved;
}
