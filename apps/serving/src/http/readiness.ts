import type { Serving } from "../serving.ts";
import { answer, type Exchange } from "./exchange.ts";

/** 200 where a load balancer should send requests, else 503. */
export function readiness(serving: Serving, exchange: Exchange): void {
  const ready = serving.isReady() && !serving.isDraining();
  answer(exchange, ready ? 200 : 503, JSON.stringify({ ready }));
}
