"""A BentoML service whose method is batchable, as its guide of adaptive batching says. MODEL is the ONNX file."""

import os

import bentoml
import numpy
import onnxruntime


@bentoml.service(resources={"cpu": "2"}, traffic={"timeout": 60, "max_concurrency": 1024})
class Tree:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=256, max_latency_ms=1000)
    def predict(self, rows: numpy.ndarray) -> numpy.ndarray:
        (answer,) = self.session.run(None, {self.input: rows.astype(numpy.float32)})
        return answer
