"""What a team writes that needs no server of others: FastAPI, pydantic and onnxruntime. MODEL is the ONNX file."""

import os

import numpy
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
input_name = session.get_inputs()[0].name
app = FastAPI()


class Request(BaseModel):
    instances: list[list[float]]


class Answer(BaseModel):
    predictions: list[list[float]]


@app.post("/predict")
async def predict(request: Request) -> Answer:
    rows = numpy.asarray(request.instances, dtype=numpy.float32)
    (answer,) = session.run(None, {input_name: rows})
    return Answer(predictions=answer.tolist())
