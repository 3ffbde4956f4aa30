import { isEspalierError } from "@espalier/core";
import { expect, test } from "vitest";
import type { TokenRow } from "../db/queries/tokens.ts";
import { tokenVerifier } from "./verify-token.ts";

const row: TokenRow = {
  id: "1",
  name: "ci",
  role: "editor",
  scope: { kind: "project" },
  createdBy: "ana",
  createdAt: 0,
};

function verifierOf(good: Set<string>) {
  let time = 0;
  const seen: string[] = [];
  const failed: string[] = [];
  const verify = async (token: string) => {
    seen.push(token);
    return good.has(token) ? row : undefined;
  };
  const limits = { perSecond: 1, burst: 3, now: () => time, onFailure: (address: string) => void failed.push(address) };
  const check = tokenVerifier("owner-token", { verify }, limits);
  const told = (token: string, address: string): Promise<string> =>
    check(token, address).then(
      (principal) => principal?.actor ?? "unknown",
      (error: unknown) => (isEspalierError(error) ? error.code : "?"),
    );
  const later = (milliseconds: number): void => {
    time += milliseconds;
  };
  return { told, seen, failed, later };
}

test("an address that guesses is refused before its guess is looked at; others, the owner and known tokens are not", async () => {
  const { told, seen, failed, later } = verifierOf(new Set(["good", "fresh"]));
  expect(await told("good", "10.0.0.1")).toBe("token:ci");
  for (const guess of ["g1", "g2", "g3"]) expect(await told(guess, "10.0.0.1")).toBe("unknown");
  expect(await told("g4", "10.0.0.1")).toBe("RATE_LIMITED");
  expect(await told("fresh", "10.0.0.1")).toBe("RATE_LIMITED");
  expect(seen).not.toContain("g4");
  expect(failed).toEqual(["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
  expect(await told("good", "10.0.0.1")).toBe("token:ci");
  expect(await told("owner-token", "10.0.0.1")).toBe("owner");
  expect(await told("fresh", "10.0.0.2")).toBe("token:ci");
  later(1000);
  expect(await told("g5", "10.0.0.1")).toBe("unknown");
  expect(await told("g6", "10.0.0.1")).toBe("RATE_LIMITED");
});

test("one dead token, sent again and again, counts once", async () => {
  const { told, failed } = verifierOf(new Set());
  for (let times = 0; times < 50; times += 1) expect(await told("dead", "10.0.0.1")).toBe("unknown");
  expect(failed).toHaveLength(1);
});

test("a token that is revoked while it is known is refused at once", async () => {
  const good = new Set(["ours"]);
  const { told } = verifierOf(good);
  expect(await told("ours", "10.0.0.1")).toBe("token:ci");
  good.clear();
  expect(await told("ours", "10.0.0.1")).toBe("unknown");
});

test.each([
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::7", true],
  ["2001:db8:1:2::1", "2001:db8:1:3::1", false],
  ["2001:db8::1", "2001:db8::ffff:0:0:1", true],
])("IPv6 addresses %s and %s count as one: %s", async (one, other, same) => {
  const { told } = verifierOf(new Set());
  for (const guess of ["a", "b", "c"]) await told(guess, one);
  expect(await told("d", other)).toBe(same ? "RATE_LIMITED" : "unknown");
});
