import { EspalierError } from "../errors.ts";

/** What may stand inside `${{ }}` of a `run:` command. */
export type CommandExpression =
  | { kind: "inputs" | "outputs" | "params" | "trial"; name: string }
  | { kind: "run.date" }
  | { kind: "checkpoint.dir" };

/** Where in a shell command an expression stands, since each place needs other quotes. */
export type QuotingContext = "bare" | "double" | "single";

export interface CommandPart {
  text: string;
  /** Absent: literal text of the command. */
  expression?: CommandExpression;
  context: QuotingContext;
}

const named = /^(inputs|outputs|params|trial)\.([a-z][a-z0-9_]{0,62})$/;
const openMark = "${{";
const closeMark = "}}";

/** Throws INVALID_PIPELINE. */
function parseCommandExpression(inner: string): CommandExpression {
  const text = inner.trim();
  const [, kind, name] = named.exec(text) ?? [];
  if (kind !== undefined && name !== undefined) return { kind: kind as "inputs", name };
  if (text === "run.date" || text === "checkpoint.dir") return { kind: text };
  throw new EspalierError("INVALID_PIPELINE", `\`\${{ ${text} }}\` is not known inside a command`, {
    hint: "There are inputs.x, outputs.x, params.x, run.date and checkpoint.dir; conditions and loops are `when:` and `map:`.",
  });
}

/**
 * Splits a command at its expressions and says how each is quoted where it stands. Follows a POSIX shell as far as that needs: quotes,
 * `$( )`, comments (left as they are) and here-documents. A place where a value could not be quoted safely is refused, never guessed.
 */
export function parseCommand(command: string): CommandPart[] {
  return new CommandScanner(command).parts();
}

export function commandExpressions(command: string): CommandExpression[] {
  return parseCommand(command).flatMap((part) => (part.expression === undefined ? [] : [part.expression]));
}

type Place = "bare" | "double" | "single" | "substitution" | "parentheses" | "braces" | "arithmetic" | "backtick";

class CommandScanner {
  readonly #command: string;
  readonly #stack: Place[] = ["bare"];
  readonly #parts: CommandPart[] = [];
  readonly #hereDocuments: string[] = [];
  #literal = "";
  #opened = false;
  #at = 0;

  constructor(command: string) {
    this.#command = command;
  }

  parts(): CommandPart[] {
    while (this.#at < this.#command.length) {
      if (this.#ahead(openMark)) this.#expression();
      else this.#step();
    }
    this.#flush();
    return this.#parts;
  }

  #ahead(text: string): boolean {
    return this.#command.startsWith(text, this.#at);
  }

  #take(length: number): void {
    this.#literal += this.#command.slice(this.#at, this.#at + length);
    this.#at += length;
  }

  #flush(): void {
    if (this.#literal !== "") this.#parts.push({ text: this.#literal, context: "bare" });
    this.#literal = "";
  }

  #expression(): void {
    const end = this.#command.indexOf(closeMark, this.#at);
    if (end < 0) throw new EspalierError("INVALID_PIPELINE", "A `${{` in the command is never closed by `}}`");
    const text = this.#command.slice(this.#at, end + closeMark.length);
    const expression = parseCommandExpression(text.slice(openMark.length, -closeMark.length));
    const context = this.#context(text);
    this.#flush();
    this.#parts.push({ text, expression, context });
    this.#at = end + closeMark.length;
  }

  #context(text: string): QuotingContext {
    const place = this.#stack.at(-1) ?? "bare";
    if (/(^|[^\\])(\\\\)*\\$/.test(this.#literal) && place !== "single") throw refused(text, "after a backslash");
    if (place === "double" || place === "single") return place;
    if (place === "braces") throw refused(text, "inside ${ }");
    if (place === "arithmetic") throw refused(text, "inside $(( ))");
    if (place === "backtick") throw refused(text, "inside backticks; use $( )");
    // `case` has unpaired parentheses, which would hide where a substitution ends.
    if (this.#opened && /\bcase\b/.test(this.#command))
      throw refused(text, "in a command that uses both `case` and ( )");
    return "bare";
  }

  #step() {
    const place = this.#stack.at(-1) ?? "bare";
    const character = this.#command[this.#at];
    if (place === "single") {
      if (character === "'") this.#stack.pop();
      return this.#take(1);
    }
    if (character === "\\") return this.#take(this.#command.startsWith(openMark, this.#at + 1) ? 1 : 2);
    if (this.#ahead("$((")) return this.#enter("arithmetic", 3);
    if (this.#ahead("$(")) return this.#enter("substitution", 2);
    if (this.#ahead("${")) return this.#enter("braces", 2);
    if (character === "`") return place === "backtick" ? this.#leave(1) : this.#enter("backtick", 1);
    if (character === '"') return place === "double" ? this.#leave(1) : this.#enter("double", 1);
    if (place === "double") return this.#take(1);
    if (place === "braces" && character === "}") return this.#leave(1);
    if (place === "arithmetic") return this.#ahead("))") ? this.#leave(2) : this.#take(1);
    if (character === "'") return this.#enter("single", 1);
    if (character === "(") return this.#enter("parentheses", 1);
    if (character === ")" && (place === "substitution" || place === "parentheses")) return this.#leave(1);
    if (character === "#" && /(^|[\s;&|()])$/.test(this.#literal) && place !== "braces") return this.#comment();
    if (this.#ahead("<<") && place !== "braces") return this.#hereDocumentMark();
    this.#take(1);
    if (character === "\n")
      while (this.#hereDocuments.length > 0) this.#hereDocument(this.#hereDocuments.shift() ?? "");
  }

  #enter(place: Place, length: number): void {
    this.#stack.push(place);
    if (place === "substitution" || place === "parentheses") this.#opened = true;
    this.#take(length);
  }

  #leave(length: number): void {
    this.#stack.pop();
    this.#take(length);
  }

  #comment(): void {
    const end = this.#command.indexOf("\n", this.#at);
    this.#take((end < 0 ? this.#command.length : end) - this.#at);
  }

  #hereDocumentMark(): void {
    const [mark = "<<", quoted, bare] =
      /^<<-?[ \t]*(?:["']([^"'\n]*)["']|([^\s;&|<>()"'`$]+))?/.exec(this.#command.slice(this.#at)) ?? [];
    const delimiter = quoted ?? bare;
    if (delimiter !== undefined) this.#hereDocuments.push(delimiter.replaceAll("\\", ""));
    this.#take(mark.length);
  }

  #hereDocument(delimiter: string): void {
    while (this.#at < this.#command.length) {
      const newline = this.#command.indexOf("\n", this.#at);
      const end = newline < 0 ? this.#command.length : newline + 1;
      const line = this.#command.slice(this.#at, end);
      const mark = line.indexOf(openMark);
      if (mark >= 0) throw refused(line.slice(mark).trim(), "inside a here-document; set a variable before it");
      this.#take(line.length);
      if (line.replace(/\n$/, "").replace(/^\t+/, "") === delimiter) return;
    }
  }
}

function refused(text: string, where: string): EspalierError {
  return new EspalierError("INVALID_PIPELINE", `\`${text}\` can not be quoted safely ${where}`, {
    hint: 'Give it as an argument of its own, or set a variable first: `name=${{ params.x }}` and then `"$name"`.',
  });
}
