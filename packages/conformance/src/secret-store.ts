import { Secret, type SecretStore } from "@espalier/core";
import { caseRunner, codeOf, type Skips, type TestRunner } from "./suite.ts";

export interface SecretStoreSubject {
  /** A store that holds exactly these secrets. */
  open(secrets: Readonly<Record<string, string>>): Promise<{ store: SecretStore; close(): Promise<void> }>;
  skips?: Skips;
}

/** Every secret store passes this. */
export function secretStoreConformance(runner: TestRunner, subject: SecretStoreSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  const withStore = (name: string, body: (store: SecretStore) => Promise<void>): void =>
    it(name, async () => {
      const { store, close } = await subject.open({ DB_PASSWORD: "correct horse", EMPTY_LINES: "a\nb\n" });
      try {
        await body(store);
      } finally {
        await close();
      }
    });

  runner.describe("secret store conformance", () => {
    withStore("reveals a secret only when asked", async (store) => {
      const secret = await store.get("DB_PASSWORD");
      expect(secret?.reveal()).toBe("correct horse");
      expect(`${secret} ${JSON.stringify({ secret })}`).not.toContain("correct horse");
      expect((await store.get("EMPTY_LINES"))?.reveal()).toBe("a\nb\n");
    });
    withStore("knows what is absent", async (store) => {
      expect(await store.get("NO_SUCH_SECRET_HERE")).toBeUndefined();
    });
    withStore("refuses names that are no identifiers", async (store) => {
      for (const name of ["", "../escape", "a/b", "a b", "1A", "A=B"]) {
        expect([name, await codeOf(() => store.get(name))]).toEqual([name, "INVALID_INPUT"]);
      }
    });
    withStore("puts, replaces, lists and deletes, where it is writable", async (store) => {
      if (!store.put || !store.delete || !store.list) return expect(store.put).toBeUndefined();
      await store.put("NEW_ONE", new Secret("1"));
      await store.put("NEW_ONE", new Secret("2"));
      expect((await store.get("NEW_ONE"))?.reveal()).toBe("2");
      expect(await store.list()).toEqual(["DB_PASSWORD", "EMPTY_LINES", "NEW_ONE"]);
      await store.delete("NEW_ONE");
      await store.delete("NEW_ONE");
      expect(await store.get("NEW_ONE")).toBeUndefined();
      expect(await store.list()).toEqual(["DB_PASSWORD", "EMPTY_LINES"]);
    });
    withStore("loses nothing when many write at once", async (store) => {
      if (!store.put || !store.list) return expect(store.put).toBeUndefined();
      const names = Array.from({ length: 10 }, (_, index) => `MANY_${index}`);
      await Promise.all(names.map((name) => store.put?.(name, new Secret(name))));
      expect(await store.list()).toEqual(["DB_PASSWORD", "EMPTY_LINES", ...names]);
    });
    finish();
  });
}
