import { expect, test } from "vitest";
import { append, find, firstOffset, firstPart, pageBytes, plainLine, prepend } from "./log-pages.ts";

test("pages tile: a log is begun at its last page, or the one before when the last is short", () => {
  expect(firstOffset(0)).toBe(0);
  expect(firstOffset(pageBytes)).toBe(0);
  expect(firstOffset(pageBytes + 5)).toBe(0);
  expect(firstOffset(pageBytes * 1.5)).toBe(pageBytes);
  expect(firstOffset(pageBytes * 9 + 5)).toBe(pageBytes * 8);
});

test("however a log is cut, its lines come out whole", () => {
  const text = "first\nsecond\n\nlast, not yet ended";
  for (let cut = 0; cut <= text.length; cut += 1) {
    const first = firstPart(0, { text: text.slice(0, cut), next: cut, ended: false });
    const whole = append(first, { text: text.slice(cut), next: text.length, ended: true });
    expect(whole.lines).toEqual(text.split("\n"));
    expect(whole).toMatchObject({ next: text.length, ended: true });
    const tail = firstPart(cut, { text: text.slice(cut), next: text.length, ended: true });
    expect(prepend(tail, 0, text.slice(0, cut)).lines).toEqual(text.split("\n"));
  }
});

test("a log that grows for days keeps its newest lines", () => {
  const many = "x\n".repeat(150_000);
  const part = append(firstPart(0, { text: many, next: 1, ended: false }), {
    text: `${many}end`,
    next: 2,
    ended: false,
  });
  expect(part.lines).toHaveLength(200_000);
  expect(part.lines.at(-1)).toBe("end");
});

test("terminal colours go, a progress bar shows where it stands", () => {
  expect(plainLine("\u001b[31mred\u001b[0m <b>text</b>")).toBe("red <b>text</b>");
  expect(plainLine(" 10%\r 50%\r100%\r")).toBe("100%");
});

test("words are found whatever their case", () => {
  expect(find(["An Error", "fine", "error"], "ERROR")).toEqual([0, 2]);
  expect(find(["a"], "")).toEqual([]);
});
