import { describe, expect, test } from "vitest";
import { artifactPath, folderPath, joinPaths, pathOfUrl } from "./paths.ts";

const invalid = { code: "INVALID_INPUT", details: { mlflow: "INVALID_PARAMETER_VALUE" } };

describe("paths that lead nowhere else", () => {
  test.each([
    ["dot segments (CVE-2023-1177, CVE-2023-2780)", "1/run/artifacts/../../../etc/passwd"],
    ["a dot segment at the end", "1/run/artifacts/.."],
    ["a single dot", "1/./run"],
    ["an absolute path (CVE-2023-1177)", "/etc/passwd"],
    ["a file URI (CVE-2023-2780, CVE-2024-3573)", "file:///etc/passwd"],
    ["backslashes (CVE-2023-6909)", "1\\..\\..\\etc"],
    ["backslashes without dots", "1\\run"],
    ["a drive (CVE-2023-6909)", "C:/Windows/win.ini"],
    ["escaped dots (CVE-2023-6831)", "1/run/%2e%2e/%2e%2e/etc/passwd"],
    ["escaped slashes (CVE-2023-6831)", "1/run/..%2f..%2fetc%2fpasswd"],
    ["twice escaped dots (CVE-2024-1560)", "1/run/%252e%252e%252f%252e%252e%252fetc"],
    ["eightfold escaped dots", "1/run/%2525252525252e%2525252525252e/etc"],
    ["deeper than any client would escape", `1/run/%${"25".repeat(12)}41`],
    ["escaped backslashes", "1/run/..%5c..%5cetc"],
    ["a parameter that hides dot segments (CVE-2024-1593)", "1/run/a;../../../etc/passwd"],
    ["an escaped parameter (CVE-2024-1593)", "1/run/%3b..%2f..%2fetc"],
    ["a fragment that hides them (CVE-2024-1594, CVE-2024-2928, CVE-2024-3848)", "1/run/#/../../../etc/passwd"],
    ["an escaped fragment (CVE-2024-1594)", "1/run/%23/..%2f..%2fetc"],
    ["a query that hides them (CVE-2024-1483)", "1/run/?/../../etc"],
    ["NUL", "1/run/a\0.txt"],
    ["an empty segment", "1//run"],
    ["nothing", ""],
    ["only a slash", "/"],
    ["a lone surrogate", "1/run/\ud800"],
    ["a segment longer than a disk takes", `1/run/artifacts/${"a".repeat(256)}`],
    ["a path longer than an index takes", `1/run/artifacts${"/abcdefg".repeat(130)}`],
    ["a very long path (CVE-2024-6838)", "%41".repeat(100_000)],
  ])("%s", (_what, path) => {
    expect(() => artifactPath(path)).toThrow(expect.objectContaining(invalid));
    expect(() => artifactPath(path)).toThrow(/^Invalid path/);
  });

  test("overlong UTF-8 is no dot", () => {
    expect(artifactPath("1/%c0%ae%c0%ae/etc")).toBe("1/\ufffd\ufffd\ufffd\ufffd/etc");
  });
});

describe("paths that clients send", () => {
  test.each([
    ["1/run/artifacts/model/MLmodel", "1/run/artifacts/model/MLmodel"],
    ["1/run/artifacts/", "1/run/artifacts"],
    ["1/run/artifacts/größe/模型 1.txt", "1/run/artifacts/größe/模型 1.txt"],
    ["a;b.txt", "a;b.txt"],
    ["...", "..."],
    ["a..b/.hidden", "a..b/.hidden"],
    ["50%.txt", "50%.txt"],
    ["%zz", "%zz"],
    // MLflow 2 logs images under such names; %17 begins the time stamp, and a random hexadecimal number follows the last one.
    ["k%step%0%timestamp%1734567890123%9fa2.png", "k%step%0%timestamp%1734567890123\ufffda2.png"],
    ["k%step%0%timestamp%1734567890123%41a2.png", "k%step%0%timestamp%1734567890123Aa2.png"],
    ["k%step%0%timestamp%1734567890123%2fa2.png", "k%step%0%timestamp%1734567890123\ufffda2.png"],
    ["k%step%0%timestamp%1734567890123%00a2.png", "k%step%0%timestamp%1734567890123\ufffda2.png"],
    ["k%step%0%timestamp%1734567890123%23a2.png", "k%step%0%timestamp%1734567890123\ufffda2.png"],
    ["a%09b", "a%09b"],
    ["a\tb", "a%09b"],
  ])("%j is %j", (text, path) => {
    expect(artifactPath(text)).toBe(path);
  });

  test.each(["k%step%0%timestamp%1734567890123%25a2.png", "%2525", "a%ffb%0ac", "%e4%bd%a0%3b", "50%25%34%31"])(
    "the form of %j is its own form, however often it is asked for",
    (text) => {
      const path = artifactPath(text);
      expect(artifactPath(path)).toBe(path);
      expect(pathOfUrl(`/x/${encodeURIComponent(path)}`, "/x/")).toBe(path);
    },
  );

  test("a URL's path is taken as it was sent", () => {
    expect(pathOfUrl("/api/artifacts/1/a%20b/c%2525d", "/artifacts/")).toBe("1/a b/c%d");
    expect(pathOfUrl("/api/artifacts/1/%zz%", "/artifacts/")).toBe("1/%zz%");
    expect(pathOfUrl("/api/artifacts/1/a?", "/artifacts/")).toBe("1/a");
    for (const url of [
      "/artifacts/1/a?.txt",
      "/artifacts/1/a#b",
      "/artifacts/1/%2e%2e",
      "/artifacts//etc",
      "/artifacts/",
      "/%61rtifacts/1/a",
    ]) {
      expect(() => pathOfUrl(url, "/artifacts/")).toThrow(expect.objectContaining(invalid));
    }
  });

  test("folders may be the root", () => {
    expect([undefined, "", "/", "a/"].map(folderPath)).toEqual(["", "", "", "a"]);
    expect([joinPaths("", "a"), joinPaths("a", ""), joinPaths("a", "b")]).toEqual(["a", "a", "a/b"]);
  });
});
