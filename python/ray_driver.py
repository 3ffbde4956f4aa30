"""The program of a Ray job that Espalier submits: runs launchers (launcher.py) as Ray tasks, one an attempt.

Executed by the job's entrypoint, which has called ray.init() and read `program`, {"driver": this file, "launcher": launcher.py}, from Ray's
internal key-value store, where the Jobs API puts packages. `sys.argv[2]` is the key of the batch there. No working folder on the nodes:
Ray would set one up for each job and start new workers for it, and so may use those that are idle.

`sys.argv[3]` is the job's own prefix of keys.

A job costs a driver process and workers of its own, a task next to nothing; so attempts share a job. What comes to stand under
<prefix>.more.<n>.zip, n from 1 on, is taken while the job runs, and it stays for a while when it has nothing to do. What becomes of each attempt is told as a
line of JSON on stdout, which adapters/open-source/src/ray-driver-log.ts reads:

    {"espalier": "taken", "attempt": id, "feed": n}
    {"espalier": "waiting", "attempt": id, "reason": text}
    {"espalier": "ended", "attempt": id, "exit_code": n, "cancelled": bool, "words": what the launcher printed}
    {"espalier": "lost", "attempt": id, "reason": text}

A batch is {"attempts": [{"id", "name", "manifest_url", "token", "nodes", "resources"}], "variables": {...},
"ray_in_steps": bool}; `resources` are options of a Ray task. An attempt whose id comes to stand under <prefix>.cancel.<id>.zip is stopped.
"taken" said again of one that was waiting means that a node can take it now.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import ray
from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_list
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

WORDS_BYTES = 8192
LOOK_SECONDS = 0.25
NODES_SECONDS = 5.0
IDLE_SECONDS = 20.0
PR_SET_PDEATHSIG = 1


def tie_to_worker():
    """A worker that is killed, or whose node is lost, must not leave a step behind that goes on beside its successor."""
    # Loaded before the fork: a child must not import.
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return lambda: libc and libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def step_environment(variables, ray_in_steps):
    """Of the worker's own environment a step needs neither Ray's wiring nor the cluster's token, unless it is to use Ray itself."""
    kept = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if ray_in_steps else ()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_") or name in kept}
    environment.pop("PYTHONPATH", None)
    if ray_in_steps:
        environment["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    environment.update(variables)
    return environment


@ray.remote(max_retries=0)
def launch(launcher, attempt, variables, ray_in_steps):
    """Runs one launcher to its end; its exit code and the end of what it printed."""
    environment = step_environment(variables, ray_in_steps)
    environment["ESPALIER_TOKEN"] = attempt["token"]
    process = subprocess.Popen(
        [sys.executable, "-c", launcher, attempt["manifest_url"]],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=tie_to_worker(),
    )
    words = bytearray()

    def read():
        for chunk in iter(lambda: process.stdout.read1(65536), b""):
            words.extend(chunk)
            del words[:-WORDS_BYTES]

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        # ray.cancel is no signal: it is noticed between two instructions of Python, not inside a system call.
        while True:
            try:
                process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                pass
    except KeyboardInterrupt:
        # ray.cancel: the launcher passes the signal on and sends SIGKILL itself after the step's grace.
        process.send_signal(signal.SIGTERM)
        process.wait()
    reader.join(timeout=5)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode, bytes(words).decode("utf-8", "replace")


@ray.remote(num_cpus=0, max_retries=0)
def meeting_point():
    """Address of this node, and a port that is free on it now."""
    address = ray.util.get_node_ip_address()
    with socket.socket() as probe:
        probe.bind((address, 0))
        return address, probe.getsockname()[1]


def tell(kind, attempt_id, **more):
    print(json.dumps({"espalier": kind, "attempt": attempt_id, **more}), flush=True)


def reason_of(error):
    """Ray's exceptions carry pages of advice; what happened stands in the first lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join([type(error).__name__ + ":"] + lines[:3])[:2000]


class Attempt:
    """One attempt on its way: the tasks it consists of, and what has come of them."""

    def __init__(self, spec, batch):
        self.spec = spec
        self.batch = batch
        self.tasks = {}
        self.group = None
        self.point = None
        self.cancelled = False
        self.results = {}
        self.first_fault = None
        self.stopping = False

    @property
    def nodes(self):
        return self.spec.get("nodes", 1)

    def begin(self):
        if self.nodes == 1:
            self.add_task(0, launch.options(name=self.spec["name"], **self.spec["resources"]), {})
            return
        bundle = bundle_of(self.spec["resources"])
        self.group = placement_group([bundle] * self.nodes, strategy="STRICT_SPREAD")
        on_first = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=0)
        self.point = meeting_point.options(scheduling_strategy=on_first).remote()

    def meet(self, address, port):
        """All nodes of a gang are there: one launcher on each."""
        self.point = None
        for rank in range(self.nodes):
            where = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=rank)
            options = launch.options(
                name="%s (rank %d)" % (self.spec["name"], rank), scheduling_strategy=where, **self.spec["resources"]
            )
            variables = {
                "ESPALIER_NODES": str(self.nodes),
                "ESPALIER_NODE_RANK": str(rank),
                "MASTER_ADDR": address,
                "MASTER_PORT": str(port),
            }
            self.add_task(rank, options, variables)

    def add_task(self, rank, options, variables):
        variables = {**self.batch["variables"], **variables}
        task = options.remote(self.batch["launcher"], self.spec, variables, self.batch["ray_in_steps"])
        self.tasks[task] = rank

    def waits_for(self):
        return list(self.tasks) if self.point is None else [self.point]

    def cancel(self):
        self.cancelled = True
        self.stop()

    def stop(self):
        if self.stopping:
            return
        self.stopping = True
        for task in self.waits_for():
            ray.cancel(task, force=False)

    def take(self, task):
        """A task has ended. True: with it the attempt."""
        if task == self.point:
            try:
                point = ray.get(task)
                if not self.stopping:
                    self.meet(*point)
                    return False
                # Cancelled after all nodes were there, and before a launcher was on any.
                self.results[0] = ray.exceptions.TaskCancelledError()
            except ray.exceptions.RayError as error:
                self.results[0] = error
            self.point = None
            return True
        rank = self.tasks.pop(task)
        try:
            self.results[rank] = ray.get(task)
        except ray.exceptions.RayError as error:
            self.results[rank] = error
        code = self.results[rank][0] if isinstance(self.results[rank], tuple) else None
        if code != 0 and self.tasks:
            # A gang without one of its members would wait for it for ever.
            self.first_fault = rank if self.first_fault is None else self.first_fault
            self.stop()
        return not self.tasks

    def fail(self, error):
        """Something went wrong here in the driver: what runs of it is stopped, and it alone is lost."""
        try:
            self.stop()
            if self.group is not None:
                remove_placement_group(self.group)
        except Exception as another:
            print("espalier: stopping %s: %r" % (self.spec["id"], another), flush=True)
        tell("lost", self.spec["id"], reason="the driver of the Ray job failed with it: " + reason_of(error))

    def end(self):
        if self.group is not None:
            remove_placement_group(self.group)
        attempt_id = self.spec["id"]
        rank = min(self.results) if self.first_fault is None else self.first_fault
        result = self.results[rank]
        if isinstance(result, tuple):
            code, words = result
            prefix = "" if self.nodes == 1 else "rank %d: " % rank
            tell("ended", attempt_id, exit_code=code, cancelled=self.cancelled, words=prefix + words if code != 0 and words else "")
        elif self.cancelled:
            tell("ended", attempt_id, exit_code=143, cancelled=True, words="")
        else:
            tell("lost", attempt_id, reason=reason_of(result))


def bundle_of(resources):
    bundle = dict(resources.get("resources") or {})
    for option, name in (("num_cpus", "CPU"), ("num_gpus", "GPU"), ("memory", "memory")):
        if resources.get(option):
            bundle[name] = resources[option]
    if resources.get("accelerator_type"):
        bundle["accelerator_type:" + resources["accelerator_type"]] = 0.001
    return bundle or {"CPU": 0.001}


def lacks(resources, nodes):
    """What no node of the cluster has, however idle; None: one has it all."""
    asked = bundle_of(resources)
    for node in nodes:
        if all(node.get(name, 0) >= amount for name, amount in asked.items()):
            return None
    return ", ".join("%s %g" % item for item in sorted(asked.items()))


class Waiting:
    """Tells of each attempt that no node can take, and when one can. An autoscaler may bring one, so it is no failure."""

    def __init__(self):
        self.told = set()
        self.looked = 0.0

    def look(self, attempts):
        self.looked = time.monotonic()
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        for attempt_id, attempt in attempts.items():
            missing = lacks(attempt.spec["resources"], nodes)
            if missing is None and attempt.nodes > len(nodes):
                missing = "%d nodes" % attempt.nodes
            if missing is not None and attempt_id not in self.told:
                self.told.add(attempt_id)
                tell("waiting", attempt_id, reason="no node of the cluster has " + missing)
            elif missing is None and attempt_id in self.told:
                self.told.remove(attempt_id)
                tell("taken", attempt_id)

    def look_again(self, attempts):
        if self.told and time.monotonic() - self.looked > NODES_SECONDS:
            self.told &= set(attempts)
            self.look(attempts)


class Attempts:
    """All of one job that have not ended yet. What goes wrong with one of them ends that one alone."""

    def __init__(self, key, prefix):
        self.key = key
        self.prefix = prefix
        self.open = {}
        self.waiting = Waiting()
        self.feeds = 0

    def more_key(self):
        return b"%s.more.%d.zip" % (self.prefix, self.feeds + 1)

    def take(self, batch, specs, key, **more):
        """Told before anything begins, and before the key is gone: what is not told as taken was not begun, and may be submitted elsewhere."""
        for spec in specs:
            tell("taken", spec["id"], **more)
        # What is told as taken has to begin, whatever becomes of its key.
        tolerantly("removing what was taken", _internal_kv_del, key)
        for spec in specs:
            attempt = self.open[spec["id"]] = Attempt(spec, batch)
            self.guard(attempt, attempt.begin)
        tolerantly("looking at the nodes", self.waiting.look, self.open)

    def take_more(self, batch):
        key = self.more_key()
        text = _internal_kv_get(key)
        if text is not None:
            # Counted first: should anything go wrong with it, it is not taken a second time.
            self.feeds += 1
            self.take(batch, json.loads(text)["attempts"], key, feed=self.feeds)

    def guard(self, attempt, step, *given):
        try:
            return step(*given)
        except Exception as error:
            self.open.pop(attempt.spec["id"], None)
            attempt.fail(error)

    def collect(self):
        owners = {task: attempt_id for attempt_id, attempt in self.open.items() for task in attempt.waits_for()}
        if not owners:
            time.sleep(LOOK_SECONDS)
            return
        done, _ = ray.wait(list(owners), num_returns=len(owners), timeout=LOOK_SECONDS, fetch_local=False)
        for task in done:
            attempt = self.open.get(owners[task])
            if attempt is not None and self.guard(attempt, attempt.take, task):
                del self.open[attempt.spec["id"]]
                self.guard(attempt, attempt.end)

    def cancel(self):
        for key in _internal_kv_list(self.prefix + b".cancel."):
            attempt_id = (_internal_kv_get(key) or b"").decode()
            _internal_kv_del(key)
            if attempt_id in self.open:
                self.guard(self.open[attempt_id], self.open[attempt_id].cancel)


def tolerantly(what, look, *given):
    """The head's store may not answer for a moment; the attempts go on meanwhile, and the next look comes soon."""
    try:
        look(*given)
    except Exception as error:
        print("espalier: %s: %s" % (what, reason_of(error)), flush=True)
        time.sleep(LOOK_SECONDS)


def main():
    key = sys.argv[2].encode()
    text = _internal_kv_get(key)
    if text is None:
        sys.exit("espalier: Ray no longer has the batch %s" % sys.argv[2])
    batch = {**json.loads(text), "launcher": ray.put(program["launcher"])}
    attempts = Attempts(key, sys.argv[3].encode())
    attempts.take(batch, batch["attempts"], key)
    busy = time.monotonic()
    while attempts.open or time.monotonic() - busy < IDLE_SECONDS:
        tolerantly("waiting for tasks", attempts.collect)
        tolerantly("looking for more attempts", attempts.take_more, batch)
        tolerantly("looking for cancellations", attempts.cancel)
        tolerantly("looking at the nodes", attempts.waiting.look_again, attempts.open)
        if attempts.open:
            busy = time.monotonic()


if __name__ == "__main__":
    main()
