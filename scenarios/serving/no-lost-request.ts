import { proveNoLoss } from "./prove-no-loss.ts";

/**
 * node scenarios/serving/no-lost-request.ts [requests] [callers]: load on an endpoint of the embedded deployer across version changes, a
 * canary, a rollback, signals to routers and model servers, and a disk that stalls. Exit 1 when one request failed.
 */
const requests = Number(process.argv[2] ?? 1_000_000);
const callers = Number(process.argv[3] ?? 32);
if (!(requests > 0) || !(callers > 0)) {
  console.error("usage: node scenarios/serving/no-lost-request.ts [requests] [callers]");
  process.exit(2);
}
const proof = await proveNoLoss({
  requests,
  callers,
  versionChanges: 20,
  routers: 3,
  workers: 20,
  log: (line) => console.log(line),
});
const { examples, skipped, ...counts } = proof;
console.log(JSON.stringify(counts, undefined, 2));
for (const line of [...skipped.map((reason) => `skipped: ${reason}`), ...examples]) console.log(line);
process.exit(proof.failures === 0 ? 0 : 1);
