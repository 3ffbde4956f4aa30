import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { commandExpressions } from "./expressions.ts";
import { renderShellCommand } from "./render-command.ts";

const render = (command: string, value: string): string =>
  renderShellCommand(command, (expression) =>
    expression.kind === "inputs" ? { variable: "ESPALIER_INPUTS", path: expression.name } : { value },
  );

const shell = (command: string): string =>
  execFileSync("/bin/sh", ["-c", command], { encoding: "utf8", env: { ESPALIER_INPUTS: "/in put" } });

test.each([
  ["printf %s ${{ params.x }}", "V"],
  ['printf %s "a ${{ params.x }} b"', "a V b"],
  ["printf %s 'a ${{ params.x }} b'", "a V b"],
  ["printf %s a${{params.x}}b", "aVb"],
  ["printf %s $(printf %s ${{ params.x }} | cat)", undefined],
  ['printf %s "$(printf %s "${{ params.x }}")"', "V"],
  ['printf %s "it\'s "${{ params.x }}', "it's V"],
  ["# don't mind ${{ params.x }} here\nprintf %s ${{ params.x }}", "V"],
  ["cat <<END >/dev/null\nit's \"\nEND\nprintf %s ${{ params.x }}", "V"],
  ["( printf %s ${{ params.x }} )", "V"],
])("%s", (command, expected) => {
  const values = ["plain", "it's", 'a "quoted" $HOME `id` $(id) \\ ; rm', "", "line\nbreak", "*"];
  for (const value of expected === undefined ? ["plain"] : values) {
    // A trailing line break would be eaten by $( ) itself, not by quoting.
    expect(shell(render(command, value))).toBe(expected === undefined ? value : expected.replace("V", () => value));
  }
});

test("any text stays one argument in each of the three places", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary-ascii" }).filter((text) => !text.includes("\0")),
      (value) => {
        const command = `printf '%s|' ${"${{ params.x }}"} "${"${{ params.x }}"}" '${"${{ params.x }}"}'`;
        expect(shell(render(command, value))).toBe(`${value}|${value}|${value}|`);
      },
    ),
    { numRuns: 40 },
  );
});

test("paths are below a variable of the step's process", () => {
  expect(shell(render("printf '%s|' ${{ inputs.x }} \"${{ inputs.x }}\" '${{ inputs.x }}'", ""))).toBe(
    "/in put/x|/in put/x|/in put/x|",
  );
});

test.each([
  ["echo `cat ${{ params.x }}`", "backticks"],
  ["echo $((1 + ${{ params.x }}))", "$(( ))"],
  ["echo ${HOME:-${{ params.x }}}", "${ }"],
  ["cat <<EOF\n${{ params.x }}\nEOF", "here-document"],
  ["cat <<'E O'\n${{ params.x }}\nE O", "here-document"],
  ["echo \\${{ params.x }}", "backslash"],
  ["echo $(case a in a) echo ${{ params.x }};; esac)", "case"],
  ["echo ${{ params.x", "never closed"],
  ["echo ${{ env.HOME }}", "not known"],
  ["echo ${{ params.x + 1 }}", "not known"],
  ["echo ${{ }}", "not known"],
])("%s is refused", (command, message) => {
  expect(() => render(command, "v")).toThrow(
    expect.objectContaining({ code: "INVALID_PIPELINE", message: expect.stringContaining(message) }),
  );
});

test("expressions of a command", () => {
  expect(commandExpressions("a ${{ inputs.x }} '${{run.date}}' ${{ checkpoint.dir }} ${{ trial.depth }}")).toEqual([
    { kind: "inputs", name: "x" },
    { kind: "run.date" },
    { kind: "checkpoint.dir" },
    { kind: "trial", name: "depth" },
  ]);
});
