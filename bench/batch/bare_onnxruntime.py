"""Bare onnxruntime over a Parquet file: the peer of bench/batch-inference.ts, written as one would who knows the libraries.

usage: bare_onnxruntime.py DATA MODEL OUTPUT THREADS

Row groups are decoded by pyarrow's threads in a thread of their own while onnxruntime (which lets go of Python's lock) runs the batch
before; columns become one matrix without a copy of Python objects; predictions go out as Parquet, compressed like ours. Prints seconds.
"""

import json
import queue
import sys
import threading
import time

import numpy
import onnxruntime
import pyarrow
import pyarrow.parquet

BATCH_ROWS = 65_536


def main(data: str, model: str, output: str, threads: int) -> None:
    started = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    parquet = pyarrow.parquet.ParquetFile(data, pre_buffer=True)
    features = [name for name in parquet.schema_arrow.names if name != "id"]
    batches: queue.Queue = queue.Queue(maxsize=2)

    def read() -> None:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=["id", *features], use_threads=True):
            matrix = numpy.empty((len(batch), len(features)), numpy.float32)
            for index, name in enumerate(features):
                matrix[:, index] = batch.column(name).to_numpy(zero_copy_only=True)
            batches.put((batch.column("id"), matrix))
        batches.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    schema = pyarrow.schema([("id", pyarrow.int64()), ("score", pyarrow.float32())])
    rows = 0
    with pyarrow.parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        while (item := batches.get()) is not None:
            ids, matrix = item
            score = session.run(["probability"], {"input": matrix})[0].reshape(-1)
            writer.write_batch(pyarrow.record_batch([ids, pyarrow.array(score)], schema=schema))
            rows += len(score)
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows, "onnxruntime": onnxruntime.__version__}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
