"""
Writes into the database of MLflow's own server, whose tables it has made itself: `fill-stock.py runs URL EXPERIMENT COUNT` or
`fill-stock.py history URL RUN POINTS`. The numbers are those of http-load.ts.
"""

import csv
import io
import sqlite3
import sys
import time

NOW = int(time.time() * 1000)


def share(row, column):
    return ((row * 2654435761 + column * 40503) & 0xFFFFFFFF) % 100_003 / 100_003


def rows_of_runs(experiment_id, count):
    run_columns = (
        "run_uuid name source_type source_name entry_point_name user_id status start_time end_time source_version "
        "lifecycle_stage artifact_uri experiment_id"
    ).split()

    def run(index):
        run_id = f"{index:032x}"
        place = f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts"
        return (run_id, f"run-{index}", "UNKNOWN", "", "", "bench", "RUNNING", NOW + index, None, "", "active", place, int(experiment_id))

    def each(make, width):
        return (make(index, at) for index in range(count) for at in range(width))

    metric = lambda index, at: (f"m{at}", share(index, at), NOW, f"{index:032x}", 0, False)
    tags = lambda index, at: (
        (f"t{at}", str((index + at) % 11), f"{index:032x}")
        if at < 5
        else (("mlflow.runName", f"run-{index}", f"{index:032x}") if at == 5 else ("mlflow.user", "bench", f"{index:032x}"))
    )
    yield "runs", run_columns, (run(index) for index in range(count))
    yield "metrics", "key value timestamp run_uuid step is_nan".split(), each(metric, 20)
    yield "latest_metrics", "key value timestamp run_uuid step is_nan".split(), each(metric, 20)
    yield "params", "key value run_uuid".split(), each(lambda index, at: (f"p{at}", str((index + at) % 7), f"{index:032x}"), 5)
    yield "tags", "key value run_uuid".split(), each(tags, 7)


def rows_of_history(run_id, count):
    columns = "key value timestamp run_uuid step is_nan".split()
    point = lambda step: ("m0", share(step, 0), NOW + step, run_id, step, False)
    yield "metrics", columns, (point(step) for step in range(count))
    yield "latest_metrics", columns, iter([point(count - 1)])


def into_sqlite(path, tables):
    connection = sqlite3.connect(path, timeout=60)
    for table, columns, rows in tables:
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
    connection.commit()
    connection.execute("ANALYZE")
    connection.commit()


def into_postgres(url, tables):
    import psycopg2

    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    for table, columns, rows in tables:
        while True:
            text, writer, count = io.StringIO(), None, 0
            writer = csv.writer(text)
            for row in rows:
                writer.writerow(row)
                count += 1
                if count == 100_000:
                    break
            if count == 0:
                break
            text.seek(0)
            cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv)", text)
    connection.commit()
    # What its autovacuum would do in a while.
    connection.autocommit = True
    cursor.execute("ANALYZE")


kind, url, subject, count = sys.argv[1:]
tables = (rows_of_runs if kind == "runs" else rows_of_history)(subject, int(count))
if url.startswith("sqlite:///"):
    into_sqlite(url.removeprefix("sqlite:///"), tables)
else:
    into_postgres(url.replace("+psycopg2", ""), tables)
