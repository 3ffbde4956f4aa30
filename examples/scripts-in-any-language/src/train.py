"""usage: train.py TRAIN.csv MODEL

The late rate of each hour of the day, drawn towards the overall rate as if each hour had 20 more flights of that rate. Written as an ONNX
graph that looks the hour up in a table, by hand: ONNX is a protocol buffer, and this needs little of it. Field numbers are those of
onnx.proto, IR version 8.
"""

import csv
import json
import os
import struct
import sys

FLOAT, INT64 = 1, 7


def main(train_path, folder):
    flights, late = [0] * 24, [0] * 24
    with open(train_path, newline="") as file:
        for row in csv.DictReader(file):
            flights[int(row["hour"])] += 1
            late[int(row["hour"])] += int(row["late"])
    overall = sum(late) / sum(flights)
    # In single precision, as the graph holds them, so that whoever reads rates.csv scores the same.
    rates = [single((l + 20 * overall) / (n + 20)) for l, n in zip(late, flights)]

    os.makedirs(folder)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(lookup_model(rates))
    signature = {
        "format": "onnx",
        "payload": "model.onnx",
        "inputs": [{"name": "hour", "type": "long"}],
        "outputs": [{"name": "probability", "type": "float", "shape": [1]}],
        "score": {"output": "probability", "index": 0},
    }
    with open(os.path.join(folder, "signature.json"), "w") as file:
        json.dump(signature, file, indent=2)
    with open(os.path.join(folder, "rates.csv"), "w") as file:
        file.write("hour,rate\n" + "".join(f"{hour},{rate!r}\n" for hour, rate in enumerate(rates)))
    with open(os.environ["ESPALIER_EVENTS"], "a") as events:
        events.write(json.dumps({"type": "metric", "key": "train.rows", "value": sum(flights)}) + "\n")


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def lookup_model(rates):
    axis = message(5, text(1, "axis"), integer(3, 0), integer(20, 2))
    gather = message(1, text(1, "table"), text(1, "hour"), text(2, "probability"), text(4, "Gather"), axis)
    values = text(9, struct.pack(f"<{len(rates)}f", *rates))
    table = message(5, integer(1, len(rates)), integer(2, FLOAT), text(8, "table"), values)
    graph = message(7, gather, text(2, "late_by_hour"), table, column(11, "hour", INT64), column(12, "probability", FLOAT))
    return integer(1, 8) + text(2, "espalier-example") + graph + message(8, text(1, ""), integer(2, 17))


def column(field, name, kind):
    shape = message(2, message(1, text(2, "rows")), message(1, integer(1, 1)))
    return message(field, text(1, name), message(2, message(1, integer(1, kind), shape)))


def varint(value):
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + varint(value // 128)


def integer(field, value):
    return varint(field * 8) + varint(value)


def text(field, value):
    body = value.encode() if isinstance(value, str) else value
    return varint(field * 8 + 2) + varint(len(body)) + body


def message(field, *members):
    return text(field, b"".join(members))


main(*sys.argv[1:])
