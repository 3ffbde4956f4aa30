/** A secret that does not print itself. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return "[secret]";
  }
  toJSON(): string {
    return "[secret]";
  }
}

/** Foundation: names to secret values. Errors: UNSUPPORTED (a read-only store), UNAVAILABLE, PERMISSION_DENIED. All idempotent. */
export interface SecretStore {
  get(name: string): Promise<Secret | undefined>;
  put?(name: string, value: Secret): Promise<void>;
  delete?(name: string): Promise<void>;
  /** Names only, sorted. */
  list?(): Promise<string[]>;
}
