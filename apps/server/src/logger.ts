import { type Logger, pino } from "pino";

/** Quiet under a command, whose output is the user's; `ESPALIER_LOG` sets the level of both. Lines go to standard error. */
export function createLogger(role: "up" | "command"): Logger {
  const level = process.env["ESPALIER_LOG"] ?? (role === "up" ? "warn" : "error");
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ["req.headers.authorization", "headers.authorization", "token"],
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
