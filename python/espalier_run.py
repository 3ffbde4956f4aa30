#!/usr/bin/env python3
"""Brings about a pipeline's run, or one step of it, in Espalier from another orchestrator.

    ESPALIER_URL=... ESPALIER_TOKEN=... ESPALIER_PIPELINE=train ESPALIER_KEY=nightly ESPALIER_STEP=fit python3 espalier_run.py

Standard library only, Python 3.8 or newer; see docs/orchestrators.md. Whoever asks with the same key asks for the same run: the run's id is made
from it. With ESPALIER_RESUME=yes one that ended without success is resumed, as a run whose id follows from the key too. The exit code is 0 when the step, or the run, has
succeeded or was skipped, 1 when it failed, 2 when the control plane refused what was asked.
"""

import calendar
import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# A control plane may be away so long, as while it is restarted.
PATIENCE_SECONDS = 600.0
FIRST_POLL_SECONDS = 0.5
MOST_POLL_SECONDS = 10.0
# As exported files write `run.date`: double braces mean something else to Airflow and to Argo, which this text goes through.
DATE_MARK = "<run.date>"
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
DONE = ("succeeded", "cached", "unchanged")
ENDED = DONE + ("skipped", "failed", "cancelled", "pruned")
# A run is taken up so often by one key; more is a loop.
MOST_RESUMED = 1000


class Refused(Exception):
    """The control plane does not do what was asked, and would not do it later."""


class NotFound(Refused):
    """There is nothing at that place."""


class Failed(Exception):
    """The step, or the run, ended without success; a later try resumes it."""


class Unreachable(Exception):
    """The control plane did not answer for as long as patience lasts."""


class Client:
    """The few routes of Espalier's API that this needs; repeats what may pass by itself."""

    def __init__(self, url, token, patience_seconds=PATIENCE_SECONDS):
        self.base = url.rstrip("/") + "/api/v1"
        self.token = token
        self.patience_seconds = patience_seconds

    def create(self, request):
        """The same id again is the same run."""
        return self.ask("POST", "/runs", request)

    def resume(self, run_id, new_id):
        return self.ask("POST", "/runs/%s/resume" % run_id, {"id": new_id})

    def cancel(self, run_id):
        return self.ask("POST", "/runs/%s/cancel" % run_id, {})

    def detail(self, run_id):
        return self.ask("GET", "/runs/%s" % run_id)

    def log(self, run_id, step, offset):
        """None while no try of the step has a log: it waits, or came from the cache."""
        path = "/runs/%s/steps/%s/logs?offset=%d" % (run_id, urllib.parse.quote(step), offset)
        try:
            return self.ask("GET", path)
        except NotFound:
            return None

    def ask(self, method, path, body=None):
        deadline = time.monotonic() + self.patience_seconds
        wait = 0.5
        while True:
            try:
                return self._once(method, path, body)
            except urllib.error.HTTPError as error:
                text = error.read(65536).decode("utf-8", "replace")
                if error.code != 429 and error.code < 500:
                    raise (NotFound if error.code == 404 else Refused)(in_words(error.code, text)) from None
                problem = in_words(error.code, text)
            except (urllib.error.URLError, http.client.HTTPException, OSError, json.JSONDecodeError) as error:
                problem = str(error)
            if time.monotonic() + wait > deadline:
                raise Unreachable("%s %s%s: %s" % (method, self.base, path, problem))
            time.sleep(wait)
            wait = min(wait * 2, 30)

    def _once(self, method, path, body):
        headers = {"Authorization": "Bearer " + self.token, "Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode("utf-8")
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read().decode("utf-8"))


def in_words(status, text):
    """What an answer that is not a success says."""
    try:
        error = json.loads(text)["error"]
        place = " (%s)" % error["at"] if error.get("at") else ""
        return "%s: %s%s%s" % (error["code"], error["message"], place, " " + error["hint"] if error.get("hint") else "")
    except (ValueError, KeyError, TypeError):
        return "answered %d: %s" % (status, text[:500])


def run_id(key, milliseconds, resumed=0):
    """A ULID that only the key, the date and the number of the try decide."""
    head = ""
    time_part = min(max(int(milliseconds), 0), 2**48 - 1)
    for _ in range(10):
        head = ALPHABET[time_part % 32] + head
        time_part //= 32
    digest = hashlib.sha256(("%s\n%d" % (key, resumed)).encode("utf-8")).digest()
    return head + "".join(ALPHABET[byte & 31] for byte in digest[:16])


def bring_about(client, request, key, milliseconds=0, step=None, resumes=True, say=print):
    """Returns (run id, state) once the step, or the whole run, has succeeded or was skipped; raises Failed otherwise."""
    run, resumed = newest(client, request, key, milliseconds)
    if resumes and is_lost(client.detail(run["id"]), step):
        # What failed in an earlier try is tried anew; what others of that run still do is awaited first.
        run = wait_for(client, run["id"], None, say)["run"]
        if run["state"] != "succeeded":
            say("resuming run %s, which %s" % (run["id"], run["state"]))
            run = client.resume(run["id"], run_id(key, milliseconds, resumed + 1))
    say("run %s%s" % (run["id"], "" if step is None else ", step %s" % step))
    detail = wait_for(client, run["id"], step, say)
    if is_lost(detail, step):
        raise Failed("%s of run %s %s" % ("The whole" if step is None else "Step " + step, run["id"], why(detail, step)))
    return run["id"], state_of(detail, step)


def is_lost(detail, step):
    """Ended without success. A step that was skipped since another failed is lost with it; by its own `when:` it is not."""
    state = state_of(detail, step)
    if state != "skipped":
        return state in ENDED and state not in DONE
    row = row_of(detail, step)
    if row.get("reason", "").startswith("when:"):
        return False
    return any(is_lost(detail, need) for need in detail["graph"].get(step, ()))


def newest(client, request, key, milliseconds):
    """The key's run, and of those that took it up the last, with how many these are."""
    run = client.create(dict(request, id=run_id(key, milliseconds)))
    for resumed in range(MOST_RESUMED):
        if run["state"] not in ("failed", "cancelled"):
            return run, resumed
        try:
            run = client.detail(run_id(key, milliseconds, resumed + 1))["run"]
        except NotFound:
            return run, resumed
    raise Refused("Run %s was taken up %d times; start it with another key" % (run["id"], MOST_RESUMED))


def wait_for(client, run, step, say):
    """The run once the step has ended, or without a step the run itself; says the step's log meanwhile."""
    shown, attempt, wait = 0, None, FIRST_POLL_SECONDS
    while True:
        detail = client.detail(run)
        ended = state_of(detail, step) in ENDED
        while step is not None:
            chunk = client.log(run, step, shown)
            if chunk is not None and chunk["attemptId"] != attempt:
                # The first time, or another try: its log begins anew.
                attempt, shown = chunk["attemptId"], 0
                chunk = client.log(run, step, 0)
            if chunk is None or chunk["text"] == "":
                break
            say(chunk["text"].rstrip("\n"))
            shown, wait = chunk["next"], FIRST_POLL_SECONDS
        if ended:
            return detail
        time.sleep(wait)
        wait = min(wait * 1.5, MOST_POLL_SECONDS)


def state_of(detail, step):
    return detail["run"]["state"] if step is None else row_of(detail, step)["state"]


def row_of(detail, step):
    for row in detail["steps"]:
        if row["step"] == step and row["branch"] == -1:
            return row
    names = ", ".join(sorted(detail["graph"]))
    raise Refused("The pipeline of run %s has no step %s; it has: %s. Export it anew." % (detail["run"]["id"], step, names))


def why(detail, step):
    about = detail["run"] if step is None else row_of(detail, step)
    error = about.get("error")
    reason = "%s: %s" % (error["code"], error["message"]) if error else about.get("reason")
    return about["state"] + (": " + reason if reason else "")


def milliseconds_of(date):
    """Of an RFC 3339 instant in UTC or a day; 0 of an empty text."""
    if not date:
        return 0
    form = "%Y-%m-%d" if len(date) == 10 else "%Y-%m-%dT%H:%M:%S"
    return calendar.timegm(time.strptime(date[: len(date) if len(date) == 10 else 19], form)) * 1000


def main():
    variables = os.environ
    names = ("ESPALIER_URL", "ESPALIER_TOKEN", "ESPALIER_PIPELINE", "ESPALIER_KEY")
    missing = [name for name in names if not variables.get(name)]
    if missing:
        print("Not set: %s" % ", ".join(missing), file=sys.stderr)
        return 2
    client = Client(variables["ESPALIER_URL"], variables["ESPALIER_TOKEN"])
    date = variables.get("ESPALIER_DATE") or None
    request = dated(request_of(variables), date)
    key = json.dumps([variables["ESPALIER_KEY"], date or variables.get("ESPALIER_KEY_WITHOUT_DATE"), request], sort_keys=True)
    step = variables.get("ESPALIER_STEP") or None
    # A first try only tells: the step may have failed before its task began.
    resumes = variables.get("ESPALIER_RESUME") == "yes"
    try:
        run, state = bring_about(client, request, key, milliseconds_of(date), step, resumes, say_at_once)
    except (Failed, Unreachable) as error:
        print(error, file=sys.stderr)
        return 1
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    say_at_once("%s in run %s" % (state, run))
    return 0


def say_at_once(text):
    print(text, flush=True)


def request_of(variables):
    prefix = "ESPALIER_PARAM_"
    params = {name[len(prefix) :]: value for name, value in variables.items() if name.startswith(prefix)}
    request = {"pipeline": variables["ESPALIER_PIPELINE"]}
    if params:
        request["params"] = params
    if variables.get("ESPALIER_STACK"):
        request["stack"] = variables["ESPALIER_STACK"]
    return request


def dated(request, date, day=None):
    """With the logical date, and with its day for the mark that exported files have among their parameters."""
    full = dict(request) if date is None else dict(request, logicalDate=date)
    day = day or (date[:10] if date else None)
    if day is not None and "params" in request:
        params = request["params"].items()
        full["params"] = {name: value.replace(DATE_MARK, day) if isinstance(value, str) else value for name, value in params}
    return full


if __name__ == "__main__":
    sys.exit(main())
