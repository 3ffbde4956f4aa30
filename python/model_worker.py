"""Runs one MLflow model for Espalier's model server, in the model's own Python environment.

Started by the model server, never by hand: `python -I model_worker.py CONFIG`, CONFIG a JSON object, with a socket as file descriptor 3.
Needs mlflow (or mlflow-skinny with numpy and pandas) in the environment; itself it imports the standard library alone.

A frame is `<I` length of the header, `<Q` length of the body, the header as JSON, the body. The body holds the raw little-endian values of
the columns that say `bytes`, one behind the other; text columns lie in the header as `values`. One request is in flight at a time.
"""

import json
import os
import socket
import struct
import sys
import traceback

SOCKET = 3
PREFIX = struct.Struct("<IQ")
#: Element types of a frame, as NumPy writes them.
DTYPES = {"float32": "<f4", "float64": "<f8", "int64": "<i8", "int32": "<i4", "bool": "|b1"}


# --- before anything of the model is touched -----------------------------------------------------------------------------------------


def drop_privileges(config):
    """Started as root: goes on as an ordinary user, in a place where that user reaches the model and its environment and little else."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    os.umask(0o022)
    keep = [os.path.realpath(path) for path in config["reach"]]
    keep += [sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), os.path.realpath(os.path.dirname(__file__))]
    keep.append(os.path.realpath(os.path.dirname(os.path.dirname(sys.executable))))
    open_closed_folders(libc, sorted(set(keep)))
    os.setgroups([])
    os.setgid(config["gid"])
    os.setuid(config["uid"])
    # Before the environment's packages get a say, which is at the beginning of the next program.
    forbid_new_privileges(libc)
    for path in config["reach"]:
        if not os.access(path, os.R_OK | os.X_OK):
            raise PermissionError(f"the worker runs as user {config['uid']}, which may not read {path}")


def open_closed_folders(libc, paths):
    """A folder such as /root lets nobody through. In a mount namespace of its own the worker finds there only what it needs."""
    closed = {}
    for path in paths:
        blocking = first_closed(path)
        if blocking is not None:
            closed.setdefault(blocking, []).append(path)
    new_namespace, private, bind = 0x00020000, 0x40000 | 0x4000, 0x1000 | 0x4000
    # Not allowed in most containers; what can not be reached then is told by who called.
    if not closed or libc.unshare(new_namespace) != 0 or libc.mount(b"none", b"/", None, private, None) != 0:
        return
    for folder, members in closed.items():
        # Opened in this namespace: those of another can not be bound.
        descriptors = [os.open(path, os.O_PATH) for path in members]
        if libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 6, b"mode=0755,size=1m") != 0:
            raise OSError(ctypes_error(), f"{folder} can not be covered for the worker")
        for path, descriptor in zip(members, descriptors):
            if not os.path.exists(path):
                os.makedirs(path, mode=0o755)
                if libc.mount(f"/proc/self/fd/{descriptor}".encode(), path.encode(), None, bind, None) != 0:
                    raise OSError(ctypes_error(), f"{path} can not be bound for the worker")
            os.close(descriptor)


def ctypes_error():
    import ctypes

    return ctypes.get_errno()


def first_closed(path):
    """The topmost folder above `path` that others may not enter."""
    parts = path.split(os.sep)
    for count in range(2, len(parts)):
        folder = os.sep.join(parts[:count])
        if os.stat(folder).st_mode & 0o001 == 0:
            return folder
    return None


def forbid_new_privileges(libc):
    """For this process, all that it starts, and whatever program takes its place."""
    no_new_privileges = 38
    if sys.platform == "linux" and libc.prctl(no_new_privileges, 1, 0, 0, 0) != 0:
        raise OSError(ctypes_error(), "the worker can not be kept from gaining privileges")


def limit_itself(config):
    """No further privileges, no core files, a bound on memory, and an end together with the model server's."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory = config.get("memory_bytes")
    if memory:
        # Not RLIMIT_AS: libraries reserve far more addresses than they use. A lower bound that is in force already stays.
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bound = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    if sys.platform == "linux":
        import ctypes
        import signal

        libc = ctypes.CDLL(None, use_errno=True)
        forbid_new_privileges(libc)
        parent_death_signal = 1
        libc.prctl(parent_death_signal, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != config["parent"]:
            os._exit(0)


# --- frames ---------------------------------------------------------------------------------------------------------------------------


class Channel:
    def __init__(self, connection):
        self.connection = connection

    def read(self):
        """The header and body of the next frame; None at the end."""
        prefix = self.exactly(PREFIX.size)
        if prefix is None:
            return None
        header_length, body_length = PREFIX.unpack(prefix)
        header = self.exactly(header_length)
        body = self.exactly(body_length)
        if header is None or body is None:
            return None
        return json.loads(bytes(header)), memoryview(body)

    def exactly(self, length):
        buffer = bytearray(length)
        view = memoryview(buffer)
        while len(view) > 0:
            count = self.connection.recv_into(view)
            if count == 0:
                return None
            view = view[count:]
        return buffer

    def write(self, header, parts=()):
        text = json.dumps(header, allow_nan=False).encode()
        body = b"".join(parts)
        self.connection.sendall(PREFIX.pack(len(text), len(body)) + text + body)


# --- rows in --------------------------------------------------------------------------------------------------------------------------


def columns_of(header, body):
    """Arrays by name, each `[rows, ...shape]`."""
    import numpy as np

    found, at = {}, 0
    for column in header["columns"]:
        shape = [header["rows"], *column.get("shape", [])]
        if "bytes" in column:
            values = np.frombuffer(body, dtype=DTYPES[column["type"]], count=column["count"], offset=at)
            at += column["bytes"]
        else:
            values = np.empty(len(column["values"]), dtype=object)
            values[:] = column["values"]
        # A copy, since models may write into what they are given.
        found[column["name"]] = values.reshape(shape).copy()
    return found


class Model:
    """An MLflow model and what is known about it."""

    def __init__(self, path):
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        import mlflow.pyfunc

        self.pyfunc = mlflow.pyfunc.load_model(path)
        self.path = path
        self.schema = self.pyfunc.metadata.get_input_schema()
        self.is_tensor = self.schema is not None and self.schema.is_tensor_spec()
        self.explainer = None

    def data(self, header, body):
        """What `mlflow models serve` would hand to the model: a frame for columns, arrays for tensors."""
        import numpy as np

        columns = columns_of(header, body)
        if not self.is_tensor:
            return self.frame(columns, header["columns"])
        if self.schema.has_input_names():
            types = self.schema.input_dict()
            return {name: np.asarray(values, dtype=types[name].type) for name, values in columns.items()}
        (values,) = columns.values()
        spec = self.schema.inputs[0]
        return np.asarray(values, dtype=spec.type).reshape([header["rows"], *spec.shape[1:]])

    def frame(self, columns, described):
        import pandas as pd

        def plain(values):
            # Text is given as a list, so that pandas chooses its type as it does for parsed JSON.
            return list(values) if values.dtype == object or values.ndim > 1 else values

        frame = pd.DataFrame({name: plain(values) for name, values in columns.items()})
        if self.schema is not None and any(column["type"] == "string" for column in described):
            from mlflow.utils import proto_json_utils

            cast = getattr(proto_json_utils, "cast_df_types_according_to_schema", None)
            if cast is not None:
                frame = cast(frame, self.schema)
        return frame

    def predict(self, data, params):
        return self.pyfunc.predict(data, params=params) if params else self.pyfunc.predict(data)

    def raw(self):
        """The library's own object below the flavour, or None."""
        implementation = getattr(self.pyfunc, "_model_impl", None)
        get = getattr(implementation, "get_raw_model", None)
        if callable(get):
            return get()
        for name in ("sklearn_model", "xgb_model", "lgb_model"):
            if hasattr(implementation, name):
                return getattr(implementation, name)
        return None

    def learnt_columns(self):
        """Names of the columns that a model without a signature was fitted with; None when it does not say."""
        raw = self.raw()
        names = getattr(raw, "feature_names_in_", None)
        if names is None and hasattr(raw, "get_booster"):
            names = raw.get_booster().feature_names
        if names is None:
            names = getattr(raw, "feature_name_", None) or getattr(raw, "feature_names", None)
        if names is None and callable(getattr(raw, "feature_name", None)):
            names = raw.feature_name()
        return None if names is None else [str(name) for name in names]

    def example(self):
        """The rows that the model was logged with as its example; None without."""
        load = getattr(self.pyfunc.metadata, "load_input_example", None)
        return None if load is None else load(self.path)


# --- answers out ----------------------------------------------------------------------------------------------------------------------


def outputs_of(result, rows):
    """Named arrays and the form in which MLflow's server would write them. Errors: ValueError when they are not one a row."""
    import numpy as np
    import pandas as pd

    if isinstance(result, pd.Series):
        result = pd.DataFrame(result)
    if isinstance(result, pd.DataFrame):
        form, named = "records", [(str(name), result.iloc[:, index].to_numpy()) for index, name in enumerate(result.columns)]
    elif isinstance(result, dict):
        form, named = "columns", [(str(name), as_array(values)) for name, values in result.items()]
    else:
        if hasattr(result, "toarray"):
            result = result.toarray()
        form, named = "values", [("predictions", as_array(result))]
    for name, values in named:
        if values.ndim == 0 or len(values) != rows:
            got = "one value" if values.ndim == 0 else f"{len(values)} values"
            raise ValueError(f"the model answers {got} ({name}) for {rows} rows, and not one a row")
    return form, named


def as_array(values):
    import numpy as np

    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    if isinstance(values, np.ndarray):
        return values
    try:
        return np.asarray(values)
    except ValueError:
        # Lists of different lengths.
        array = np.empty(len(values), dtype=object)
        array[:] = list(values)
        return array


def described(name, values):
    """The description of one output and its bytes, or its values when they are text."""
    import numpy as np

    values, kind = simple(values)
    tail = list(values.shape[1:])
    if kind in DTYPES:
        data = np.ascontiguousarray(values, dtype=DTYPES[kind]).tobytes()
        return {"name": name, "type": kind, "tail": tail, "bytes": len(data)}, data
    if kind == "string":
        return {"name": name, "type": "string", "tail": tail, "values": values.reshape(-1).tolist()}, b""
    texts = [json.dumps(value, default=jsonable) for value in values.tolist()]
    return {"name": name, "type": "string", "tail": [], "values": texts, "json": True}, b""


def simple(values):
    """The array and its element type: one of DTYPES, "string", or "json" for what no tensor holds."""
    import numpy as np

    if values.dtype.kind == "O":
        values = narrowed(values)
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return values, "bool"
    if kind == "f":
        return values, "float32" if size <= 4 else "float64"
    if kind == "i" or kind == "u":
        wide = size > 4 or (kind == "u" and size == 4)
        if kind == "u" and size == 8 and values.size > 0 and int(values.max()) > 0x7FFFFFFFFFFFFFFF:
            return values, "json"
        return values, "int64" if wide else "int32"
    if kind == "U":
        return values, "string"
    if kind in "mM":
        texts = np.array([None if np.isnat(one) else np.datetime_as_string(one) if kind == "M" else str(one) for one in values.reshape(-1)])
        return texts.reshape(values.shape), "string"
    if kind == "O" and all(one is None or isinstance(one, str) for one in values.reshape(-1)):
        return values, "string"
    return values, "json"


def narrowed(values):
    """Objects as the plain array that they stand for, when they do."""
    import numpy as np

    flat = list(values.reshape(-1))
    if len(flat) == 0 or any(one is None for one in flat):
        return values
    if all(isinstance(one, (bool, np.bool_)) for one in flat):
        return values.astype(np.bool_)
    if all(isinstance(one, (int, float, np.number)) and not isinstance(one, (bool, np.bool_)) for one in flat):
        try:
            return np.array(values.tolist())
        except (ValueError, OverflowError):
            return values
    if values.ndim == 1 and all(isinstance(one, (list, tuple, np.ndarray)) for one in flat):
        try:
            stacked = np.array([np.asarray(one) for one in flat])
        except ValueError:
            return values
        return values if stacked.dtype.kind == "O" else stacked
    return values


def jsonable(value):
    """As MLflow's own encoder, for what the json module does not know."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, (bytes, bytearray)):
        import base64

        return base64.encodebytes(value).decode("ascii")
    raise TypeError(f"a prediction holds a {type(value).__name__}, which JSON does not")


# --- explanations ---------------------------------------------------------------------------------------------------------------------


class Unsupported(Exception):
    """This model or its environment can not do what was asked; the message says what to add."""


def explain(model, frame):
    """Contributions to the score by column, `[rows]` (or `[rows, classes]`), and what they are added to as `base_value`."""
    import numpy as np
    import pandas as pd

    try:
        import shap
    except ImportError:
        raise Unsupported("Explanations need the package shap in the model's environment: add it to the requirements that the model is logged with")
    if not isinstance(frame, pd.DataFrame):
        if not isinstance(frame, np.ndarray) or frame.ndim != 2:
            raise Unsupported("Only models of columns, or of one tensor [rows, columns], can be explained")
        frame = pd.DataFrame(frame)
    if model.explainer is None:
        model.explainer = make_explainer(shap, model)
    found = model.explainer(frame)
    values = np.asarray(found.values, dtype="<f8")
    base = np.asarray(found.base_values, dtype="<f8")
    base = np.broadcast_to(base, (len(frame), *values.shape[2:])) if base.ndim < values.ndim - 1 else base
    if values.ndim == 3 and values.shape[2] <= 2:
        # Binary classifiers put the positive class last.
        values, base = values[:, :, -1], base[:, -1]
    named = [(str(name), values[:, index]) for index, name in enumerate(frame.columns)]
    return [*named, ("base_value", base)]


def make_explainer(shap, model):
    import pandas as pd

    raw = model.raw()
    if raw is not None:
        try:
            return shap.TreeExplainer(raw)
        except Exception:
            pass  # No tree model: shap has no other way to ask.
    example = model.example()
    if example is None:
        raise Unsupported("SHAP compares with rows that are usual for this model: log it with input_example=, some rows of its training data")
    background = (example if isinstance(example, pd.DataFrame) else pd.DataFrame(example)).head(100)
    if raw is not None and hasattr(raw, "coef_"):
        return shap.LinearExplainer(raw, background)
    predict = getattr(raw, "predict_proba", None) or getattr(raw, "predict", None) or model.pyfunc.predict
    return by_permutation(shap, predict, background)


def by_permutation(shap, predict, background):
    """For any function of rows. SHAP takes differences, so that text goes in as the numbers of a list and comes out as text."""
    import numpy as np
    import pandas as pd

    types = background.dtypes.to_dict()
    words = {name: {} for name, kind in types.items() if kind.kind not in "biuf"}

    def numbers(frame):
        columns = {}
        for name in types:
            known = words.get(name)
            columns[name] = frame[name] if known is None else [known.setdefault(value, len(known)) for value in frame[name]]
        return pd.DataFrame(columns).to_numpy(dtype=float)

    def score(values):
        columns = {}
        for index, (name, kind) in enumerate(types.items()):
            column = values[:, index]
            texts = list(words.get(name, ()))
            columns[name] = pd.Series([texts[int(code)] for code in column] if texts else column).astype(kind)
        return np.asarray(predict(pd.DataFrame(columns)))

    explainer = shap.PermutationExplainer(score, numbers(background))
    return lambda rows: explainer(numbers(rows), max_evals=10 * (2 * len(types) + 1), silent=True)


# --- requests -------------------------------------------------------------------------------------------------------------------------


def answer(model, header, body):
    """The header and parts of the answer to one request."""
    operation = header["op"]
    if operation == "ping":
        return {}, []
    if operation == "invoke":
        return invoke(model, header, body)
    if operation == "learn":
        return learn(model)
    data = model.data(header, body)
    if operation == "explain":
        form, named = "records", explain(model, data)
    else:
        form, named = outputs_of(model.predict(data, header.get("params")), header["rows"])
    return written(form, named)


def written(form, named):
    pairs = [described(name, values) for name, values in named]
    return {"form": form, "outputs": [description for description, _ in pairs]}, [data for _, data in pairs]


def learn(model):
    """A run of the rows that the model was logged with, if any: what it answers, and warm for the first caller."""
    example = model.example()
    if example is None:
        return {}, []
    rows = len(next(iter(example.values()))) if isinstance(example, dict) else len(example)
    return written(*outputs_of(model.predict(example, None), rows))


def invoke(model, header, body):
    """A request as it came over HTTP, answered by MLflow's own scoring code."""
    from mlflow.pyfunc import scoring_server

    text = bytes(body).decode("utf-8")
    found = scoring_server.invocations(text, header["content_type"], model.pyfunc, model.schema)
    return {"status": found.status, "content_type": found.mimetype}, [found.response.encode()]


def error_of(error):
    if isinstance(error, Unsupported):
        return {"code": "UNSUPPORTED", "message": str(error)}
    if isinstance(error, MemoryError):
        return {"code": "TOO_LARGE", "message": "the worker came to its limit of memory on these rows", "fatal": True}
    text = getattr(error, "message", None) or str(error)
    return {"code": "INVALID_INPUT", "message": f"{type(error).__name__}: {text}"[:4000]}


def load(path):
    model = Model(path)
    import mlflow

    columns = model.learnt_columns() if model.schema is None else None
    return model, {"ready": True, "mlflow": mlflow.__version__, "columns": columns}


def serve(channel, config):
    try:
        model, description = load(config["model"])
    except ModuleNotFoundError as error:
        traceback.print_exc()
        channel.write({"error": {"code": "ENVIRONMENT_FAILED", "message": f"the environment has no {error.name}: {error}"}})
        return 1
    except BaseException as error:
        traceback.print_exc()
        channel.write({"error": {"code": "INVALID_DATA", "message": f"{type(error).__name__}: {error}"[:4000]}})
        return 1
    channel.write(description)
    while True:
        frame = channel.read()
        if frame is None:
            return 0
        header, body = frame
        try:
            reply, parts = answer(model, header, body)
            channel.write({"id": header["id"], **reply}, parts)
        except (Exception, SystemExit) as error:
            if not isinstance(error, Unsupported):
                traceback.print_exc(limit=-3)
            told = error_of(error)
            channel.write({"id": header["id"], "error": told})
            if told.get("fatal"):
                return 1


def main():
    config = json.loads(sys.argv[1])
    connection = socket.socket(fileno=SOCKET)
    channel = Channel(connection)
    if config.get("uid") is not None and os.geteuid() == 0:
        try:
            drop_privileges(config)
        except OSError as error:
            channel.write({"error": {"code": "PERMISSION_DENIED", "message": str(error)}})
            return 1
        os.set_inheritable(SOCKET, True)
        # Begun again by the user that it is now, with the environment's packages, of which none has been loaded yet.
        os.execv(sys.executable, [sys.executable, "-I", __file__, sys.argv[1]])
    if os.geteuid() == 0:
        channel.write({"error": {"code": "PERMISSION_DENIED", "message": "a worker never runs as root"}})
        return 1
    os.set_inheritable(SOCKET, False)
    limit_itself(config)
    return serve(channel, config)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that a library left must not hold up the end.
    os._exit(code)
