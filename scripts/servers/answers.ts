import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** Tries to connect to a loopback port until it is accepted, for at most half a minute. */
export async function answers(port: number): Promise<boolean> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; ) {
    const socket = connect(port, "127.0.0.1");
    const accepted = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (accepted) return true;
    await pause(20);
  }
  return false;
}
