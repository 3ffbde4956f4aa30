import { type DestinationStream, type Logger, pino } from "pino";

/**
 * Quiet under a command, whose output is the user's: what is said at all is said in words. `ESPALIER_LOG` sets the level of both, and makes a
 * command's lines JSON as well. Lines go to standard error.
 */
export function createLogger(role: "up" | "command"): Logger {
  const asked = process.env["ESPALIER_LOG"];
  const level = asked ?? (role === "up" ? "warn" : "error");
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ["req.headers.authorization", "headers.authorization", "token"],
  };
  if (role === "command" && asked === undefined) return pino(options, inWords);
  return pino(options, pino.destination({ dest: 2, sync: true }));
}

const inWords: DestinationStream = {
  write(line) {
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } };
    process.stderr.write(`espalier: ${[msg, err?.message].filter(Boolean).join(": ")}\n`);
  },
};
