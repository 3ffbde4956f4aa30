#!/usr/bin/env python3
"""Runs one attempt of a step on a machine that shares nothing with the control plane but HTTP.

    ESPALIER_TOKEN=... python3 launcher.py <manifest URL>

Standard library only, Python 3.8 or newer; see docs/launcher-protocol.md. The exit code is that of the step, or 70 when the launcher
itself could not do its work (and says why on stderr and in the attempt's log).
"""

import ctypes
import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

CHUNK = 1024 * 1024
PROTOCOL = 1
RETRY_SECONDS = 600
SEND_SECONDS = 1.0
BEAT_SECONDS = 10.0
# A launcher that runs a step is heard every BEAT_SECONDS, and through a restart of the control plane after RETRY_SECONDS at the latest.
SILENT_SECONDS = float(os.environ.get("ESPALIER_SILENT_SECONDS", "900"))
LAUNCHER_FAILED = 70
# Of a gang's member that fails, the end of its log that the tool keeps.
FOLLOWER_LOG_BYTES = 4096
# Loaded before any fork: a child must not import.
LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


class LauncherError(Exception):
    pass


class Expired(Exception):
    """A signed URL is no longer valid."""


class Over(Exception):
    """The control plane says that this attempt has ended."""


class Behind(Exception):
    """The control plane that took over from another has less of a file than was sent; it says from where to go on."""

    def __init__(self, next_offset):
        super().__init__(str(next_offset))
        self.next = next_offset


class Claimed(Exception):
    """Another launcher has begun this attempt."""


class Server:
    def __init__(self, manifest_url, token):
        self.manifest_url = manifest_url
        self.base = manifest_url[: -len("/manifest")]
        parts = urllib.parse.urlsplit(manifest_url)
        self.origin = (parts.scheme, parts.netloc)
        self.token = token
        self.name = os.urandom(16).hex()

    def manifest(self):
        """The first launcher to ask has the attempt; of a gang only the first member asks for it."""
        return self.json("GET", self.manifest_url, headers={} if rank_of() > 0 else {"X-Espalier-Launcher": self.name})

    def request(self, method, url, body=None, headers=None, size=None):
        """Opens a response, repeating what may pass by itself. `body` is bytes, or a function that opens a file."""
        url = urllib.parse.urljoin(self.manifest_url, url)
        deadline = time.monotonic() + RETRY_SECONDS
        wait = 0.5
        while True:
            try:
                return self._once(method, url, body, headers or {}, size)
            except urllib.error.HTTPError as error:
                text = error.read(65536).decode("utf-8", "replace")
                if error.code in (403, 410) and not self._is_ours(url):
                    raise Expired(url)
                # Its token dies with the attempt.
                if error.code in (401, 409) and self._is_ours(url):
                    if error.code == 409 and _details(text).get("claimed"):
                        raise Claimed(text)
                    behind = _next_offset(text) if error.code == 409 else None
                    raise Over(text) if behind is None else Behind(behind)
                if error.code != 429 and error.code < 500:
                    raise LauncherError("%s %s answered %d: %s" % (method, _without_query(url), error.code, text[:500]))
                problem = "answered %d" % error.code
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                problem = str(error)
            if time.monotonic() + wait > deadline:
                raise LauncherError("%s %s: %s" % (method, _without_query(url), problem))
            time.sleep(wait)
            wait = min(wait * 2, 30)

    def _once(self, method, url, body, headers, size):
        data = body() if callable(body) else body
        try:
            request = urllib.request.Request(url, data=data, method=method, headers=dict(headers))
            if size is not None:
                request.add_header("Content-Length", str(size))
            if data is not None and not request.has_header("Content-type"):
                request.add_header("Content-Type", "application/octet-stream")
            # A signed URL of a store must never see the token.
            if self._is_ours(url):
                request.add_unredirected_header("Authorization", "Bearer " + self.token)
            return urllib.request.urlopen(request, timeout=120)
        finally:
            # urlopen has sent all of the body when it returns.
            if callable(body):
                data.close()

    def _is_ours(self, url):
        parts = urllib.parse.urlsplit(url)
        return (parts.scheme, parts.netloc) == self.origin

    def json(self, method, url, value=None, headers=None):
        body = None if value is None else json.dumps(value).encode("utf-8")
        headers = dict(headers or {})
        if value is not None:
            headers["Content-Type"] = "application/json"
        with self.request(method, url, body, headers) as response:
            text = response.read()
        return json.loads(text) if text.strip() else {}

    def append(self, name, offset, data):
        url = "%s/%s?offset=%d" % (self.base, name, offset)
        with self.request("POST", url, data, {"Content-Type": "application/octet-stream"}) as response:
            return json.loads(response.read())


def rank_of():
    return int(os.environ.get("ESPALIER_NODE_RANK", "0"))


def _details(text):
    try:
        found = json.loads(text)["error"]["details"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _next_offset(text):
    """Of the error of an append that leaves a gap: `{error: {details: {next}}}`."""
    try:
        found = json.loads(text)["error"]["details"]["next"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) else None


def _without_query(url):
    return url.split("?", 1)[0]


def _inside(root, relative):
    """A path below root; the manifest comes from the control plane, but a bug there must not write elsewhere."""
    parts = [part for part in relative.split("/")]
    if relative == "" or any(part in ("", ".", "..") for part in parts):
        raise LauncherError("the manifest names the path %r" % relative)
    return os.path.join(root, *parts)


class Downloads:
    def __init__(self, server, manifest):
        self.server = server
        self.manifest = manifest

    def all(self, folders):
        for name in self.manifest["inputs"]:
            kind = self.manifest["inputs"][name]["type"]
            target = os.path.join(folders["inputs"], name)
            if kind in ("tree", "model"):
                os.makedirs(target, exist_ok=True)
            count = len(self.manifest["inputs"][name]["files"])
            for index in range(count):
                self.fetch(lambda: self.manifest["inputs"][name]["files"][index], target)
        for index in range(len(self.manifest.get("source", []))):
            self.fetch(lambda: self.manifest["source"][index], folders["source"])

    def fetch(self, entry_of, target):
        for _ in range(5):
            entry = entry_of()
            path = target if entry["path"] == "" else _inside(target, entry["path"])
            try:
                self._fetch_once(entry, path)
                return
            except Expired:
                self.manifest = self.server.manifest()
        raise LauncherError("the URL of %s expires faster than it can be used" % entry["path"])

    def _fetch_once(self, entry, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            digest = hashlib.sha256()
            size = 0
            try:
                with self.server.request("GET", entry["url"]) as response, open(path, "wb") as file:
                    while True:
                        chunk = response.read(CHUNK)
                        if not chunk:
                            break
                        digest.update(chunk)
                        size += len(chunk)
                        file.write(chunk)
            except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise LauncherError("%s: %s" % (entry["path"], error))
                time.sleep(1)
                continue
            if size < entry["size"] and time.monotonic() < deadline:
                time.sleep(1)
                continue
            break
        if digest.hexdigest() != entry["sha256"]:
            raise LauncherError("the bytes of %r are not those of sha256:%s" % (entry["path"], entry["sha256"]))
        if entry.get("executable"):
            os.chmod(path, 0o755)


class Sender(threading.Thread):
    """Sends log and events while the step runs, and hears whether to stop it."""

    def __init__(self, server, files, on_cancel):
        super().__init__(daemon=True)
        self.server = server
        self.files = files
        self.offsets = {name: 0 for name in files}
        self.on_cancel = on_cancel
        self.finished = threading.Event()
        self.failure = None

    def run(self):
        last = 0.0
        try:
            while not self.finished.wait(SEND_SECONDS):
                sent = self.send()
                if not sent and time.monotonic() - last > BEAT_SECONDS:
                    self._append("log", b"")
                    sent = True
                if sent:
                    last = time.monotonic()
        except Over:
            self.on_cancel()
        except Exception as error:
            self.failure = error
            self.on_cancel()

    def send(self, final=False):
        sent = False
        for name, path in self.files.items():
            while True:
                data = self._read(name, path, final)
                if not data:
                    break
                self._append(name, data)
                sent = True
        return sent

    def _read(self, name, path, final):
        if not os.path.exists(path):
            return b""
        with open(path, "rb") as file:
            file.seek(self.offsets[name])
            data = file.read(CHUNK)
        if name == "events" and not final:
            data = data[: data.rfind(b"\n") + 1]
        return data

    def _append(self, name, data):
        try:
            reply = self.server.append(name, self.offsets[name], data)
        except Behind as behind:
            self.offsets[name] = behind.next
            return
        self.offsets[name] = reply["next"]
        if reply.get("cancel"):
            self.on_cancel()

    def stop(self):
        self.finished.set()
        self.join()
        if self.failure is None:
            self.send(final=True)


def _die_with_launcher():
    """A launcher killed outright can not stop its step; Linux then does (PR_SET_PDEATHSIG)."""
    if LIBC is not None:
        LIBC.prctl(1, int(signal.SIGKILL))


class Step:
    def __init__(self, manifest, folders, variables):
        self.grace = manifest["graceSeconds"]
        self.cancelled = False
        self.timer = None
        self.lock = threading.Lock()
        self.log = open(os.path.join(folders["root"], "log"), "ab")
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", manifest["command"]],
            cwd=folders["source"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_launcher,
        )

    def cancel(self):
        with self.lock:
            if self.cancelled:
                return
            self.cancelled = True
        self._signal(signal.SIGTERM)
        self.timer = threading.Timer(self.grace, self._signal, [signal.SIGKILL])
        self.timer.daemon = True
        self.timer.start()

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def wait(self):
        code = self.process.wait()
        if self.timer:
            self.timer.cancel()
        # What the step started and left behind must not go on without it.
        self._signal(signal.SIGKILL)
        self.log.close()
        return code if code >= 0 else 128 - code


def declare(folder, outputs):
    """What the step left, by output: every file with its digest."""
    left = {}
    for name in outputs:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            left[name] = {"files": [_described(path, file) for file in _walk(path)]}
        elif os.path.exists(path):
            left[name] = {"files": [dict(_described(folder, name), path="")]}
    return left


def _walk(root):
    for folder, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            full = os.path.join(folder, file)
            real = os.path.realpath(full)
            if os.path.islink(full) and not real.startswith(os.path.realpath(root) + os.sep):
                raise LauncherError("the link %s leads out of its output" % os.path.relpath(full, root))
            yield os.path.relpath(full, root)


def _described(root, relative):
    path = os.path.join(root, relative)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    info = os.stat(path)
    return {
        "path": relative.replace(os.sep, "/"),
        "size": info.st_size,
        "sha256": digest.hexdigest(),
        "executable": bool(info.st_mode & 0o100),
    }


def upload(server, folder, outputs):
    left = declare(folder, outputs)
    paths = {}
    for name, output in left.items():
        for file in output["files"]:
            base = os.path.join(folder, name)
            paths[file["sha256"]] = (base if file["path"] == "" else _inside(base, file["path"]), file["size"])
    _send_missing(server, "/outputs", {"outputs": left}, paths)


def upload_runs(server, folder):
    """What the step logged by MLflow to files; imported when the last answer comes."""
    files = [_described(folder, file) for file in _walk(folder)]
    if files:
        paths = {file["sha256"]: (_inside(folder, file["path"]), file["size"]) for file in files}
        _send_missing(server, "/mlruns", {"files": files}, paths, True)


def _send_missing(server, route, told, paths, again=False):
    """Tells what there is and sends what is missing; told `again` once nothing is, for routes that then take it all in."""
    for _ in range(20):
        missing = server.json("POST", server.base + route, told)["missing"]
        try:
            for blob in missing:
                path, size = paths[blob["sha256"]]
                server.request("PUT", blob["url"], lambda: open(path, "rb"), blob["headers"], size).close()
            if not missing or not again:
                return
        except Expired:
            continue
    raise LauncherError("upload URLs expire faster than they can be used")


def install(requirements, folder):
    """A Python environment from the lock; gives the folder of its programs."""
    environment = os.path.join(folder, "environment")
    lock = os.path.join(folder, "lock.txt")
    with open(lock, "w", encoding="utf-8") as file:
        file.write(requirements)
    for command in (
        [sys.executable, "-m", "venv", environment],
        [os.path.join(environment, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps", "-r", lock],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise LauncherError("%s: %s" % (" ".join(command), done.stdout.decode("utf-8", "replace")[-4000:]))
    return os.path.join(environment, "bin")


def lay_out(root):
    folders = {"root": root}
    for name in ("inputs", "outputs", "source", "checkpoint", "mlruns"):
        folders[name] = os.path.join(root, name)
        os.makedirs(folders[name])
    return folders


def variables_of(manifest, folders, bin_folder):
    variables = dict(os.environ)
    # The token is the launcher's; a step gets what the manifest gives it.
    variables.pop("ESPALIER_TOKEN", None)
    if manifest.get("mlflow") == "files":
        # Whatever this machine says of a server and its users: the step reaches none.
        variables = {name: value for name, value in variables.items() if not name.startswith("MLFLOW_")}
        variables.update(MLFLOW_TRACKING_URI="file://" + folders["mlruns"], MLFLOW_ALLOW_FILE_STORE="true")
    variables.update(manifest["variables"])
    variables.update(
        ESPALIER_INPUTS=folders["inputs"],
        ESPALIER_OUTPUTS=folders["outputs"],
        ESPALIER_EVENTS=os.path.join(folders["root"], "events.jsonl"),
        ESPALIER_CHECKPOINT=folders["checkpoint"],
        ESPALIER_PARAMS=json.dumps(manifest["params"]),
    )
    if bin_folder:
        variables["PATH"] = bin_folder + os.pathsep + variables.get("PATH", os.defpath)
    return variables


def run(server, root):
    manifest = server.manifest()
    if manifest["protocol"] != PROTOCOL:
        raise LauncherError("the control plane speaks protocol %s, this launcher %d" % (manifest["protocol"], PROTOCOL))
    stop = {"asked": False, "step": None}

    def cancel(*_):
        stop["asked"] = True
        if stop["step"]:
            stop["step"].cancel()

    # Inputs and packages may take long: who waits for this launcher must hear that it lives.
    begun = threading.Event()
    if rank_of() == 0:
        threading.Thread(target=hear, args=(server, begun, cancel), daemon=True).start()
    folders = lay_out(root)
    Downloads(server, manifest).all(folders)
    bin_folder = install(manifest["environment"]["requirements"], root) if manifest.get("environment") else None
    begun.set()
    open(os.path.join(root, "events.jsonl"), "ab").close()
    signal.signal(signal.SIGTERM, cancel)
    signal.signal(signal.SIGINT, cancel)
    step = stop["step"] = Step(manifest, folders, variables_of(manifest, folders, bin_folder))
    if stop["asked"]:
        step.cancel()
    rank = rank_of()
    if rank > 0:
        return follow(server, step, rank, cancel)
    sender = Sender(server, {"log": os.path.join(root, "log"), "events": os.path.join(root, "events.jsonl")}, cancel)
    sender.start()
    code = step.wait()
    if manifest.get("mlflow") == "files":
        bring_runs(server, folders, code)
    sender.stop()
    if sender.failure is not None:
        raise LauncherError("the control plane can not be reached: %s" % sender.failure)
    if code == 0 and not step.cancelled:
        upload(server, folders["outputs"], manifest["outputs"])
    server.json("POST", server.base + "/exit", {"exitCode": code, "cancelled": step.cancelled})
    return 143 if step.cancelled and code == 0 else code


def shadow(server):
    """Two control planes had one attempt started twice. Who came second runs nothing, and ends as the first ends: its tool may be the one
    that is asked how the attempt stands."""
    sys.stderr.write("espalier launcher: another launcher has begun this attempt; its end is waited for\n")
    wait = 1.0
    while True:
        standing = server.json("GET", server.base + "/exit")
        if standing.get("error") is not None:
            return LAUNCHER_FAILED
        if standing.get("exitCode") is not None:
            return 143 if standing.get("cancelled") and standing["exitCode"] == 0 else standing["exitCode"]
        if standing["silentSeconds"] > SILENT_SECONDS:
            tell(server, "the launcher that had begun the attempt was not heard for %d s" % SILENT_SECONDS)
            return LAUNCHER_FAILED
        time.sleep(wait)
        wait = min(wait * 2, BEAT_SECONDS)


def follow(server, step, rank, on_cancel):
    """A member of a gang that is not the first: what it leaves is nobody's, and its exit code goes to who started it."""
    over = threading.Event()
    threading.Thread(target=hear, args=(server, over, on_cancel), daemon=True).start()
    code = step.wait()
    over.set()
    if code != 0:
        with open(step.log.name, "rb") as log:
            log.seek(max(0, os.path.getsize(step.log.name) - FOLLOWER_LOG_BYTES))
            sys.stderr.write("member %d ended with exit code %d:\n%s" % (rank, code, log.read().decode("utf-8", "replace")))
    return 143 if step.cancelled and code == 0 else code


def hear(server, over, on_cancel):
    """An append of nothing changes nothing; its reply says whether to stop."""
    while not over.wait(BEAT_SECONDS):
        try:
            if server.append("log", 0, b"").get("cancel"):
                return on_cancel()
        except Over:
            return on_cancel()
        except (Behind, LauncherError) as error:
            # The first member tells what goes wrong with the control plane, and ends the gang when it does.
            sys.stderr.write("espalier launcher: %s\n" % error)


def bring_runs(server, folders, code):
    """A step that failed keeps its own exit code; of one that did not, nothing that it logged may be lost unsaid."""
    try:
        upload_runs(server, folders["mlruns"])
    except LauncherError as error:
        if code == 0:
            raise
        with open(os.path.join(folders["root"], "log"), "a", encoding="utf-8") as log:
            log.write("espalier launcher: what was logged by MLflow could not be brought: %s\n" % error)


def tell(server, message):
    """The last words of a launcher that failed; if even these do not arrive, stderr has them."""
    sys.stderr.write("espalier launcher: %s\n" % message)
    try:
        server.json("POST", server.base + "/exit", {"exitCode": LAUNCHER_FAILED, "error": message[:8000]})
    except (LauncherError, Over, Expired):
        pass


def main():
    if len(sys.argv) != 2 or not sys.argv[1].split("?")[0].endswith("/manifest") or not os.environ.get("ESPALIER_TOKEN"):
        sys.stderr.write("usage: ESPALIER_TOKEN=... launcher.py <manifest URL>\n")
        return 2
    server = Server(sys.argv[1], os.environ["ESPALIER_TOKEN"])
    root = tempfile.mkdtemp(prefix="espalier-", dir=os.environ.get("ESPALIER_WORK"))
    try:
        try:
            return run(server, root)
        except Claimed:
            return shadow(server)
    except (Over, Behind) as error:
        sys.stderr.write("espalier launcher: the attempt is over: %s\n" % error)
        return LAUNCHER_FAILED
    except (LauncherError, OSError) as error:
        if rank_of() > 0:
            # The attempt's last word is the first member's; the tool that started this one hears of it by its exit code.
            sys.stderr.write("espalier launcher: %s\n" % error)
        else:
            tell(server, str(error))
        return LAUNCHER_FAILED
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
