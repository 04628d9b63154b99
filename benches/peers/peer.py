#!/usr/bin/env python3
"""Runs one question once on one peer, in this process: the child of run.py.

    peer.py ENGINE DATASET QUESTION FORMAT FILE THREADS [ANSWER]

The clock starts when the engine is set up (threads, connection; for `memory` also the Arrow table loaded), knows the
file's path and nothing else of it, and stops when the whole answer is in memory: as Arrow, or as Polars' own frame. Prints
one line of JSON; then, if asked to, writes the answer as an Arrow file for check.py.
"""
import json
import os
import sys
import time

from questions import questions


def anonymous():
    """Bytes of memory of this process that are no mapped file's."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def load(path):
    """The file in memory of this process: read, not mapped."""
    import pyarrow as pa
    import pyarrow.ipc

    with pa.OSFile(path) as file:
        return pa.ipc.open_file(file).read_all()


def duckdb(ask):
    import duckdb
    import pyarrow as pa
    import pyarrow.ipc

    connection = duckdb.connect()
    connection.execute(f"set threads = {ask.threads}")
    connection.execute("set preserve_insertion_order = false")
    if ask.format == "memory":
        connection.register("t", load(ask.path))

    def run():
        if ask.format == "txt":
            columns = "{'station': 'varchar', 'temperature': 'double'}"
            source = f"read_csv('{ask.path}', delim = ';', header = false, columns = {columns})"
        elif ask.format in ("csv", "parquet"):
            source = f"read_{ask.format}('{ask.path}')"
        else:
            if ask.format == "arrow":
                connection.register("t", pa.ipc.open_file(pa.memory_map(ask.path)).read_all())
            source = "t"
        return connection.sql(ask.question.statement("duckdb", source)).to_arrow_table()

    return run, lambda table: table


def polars(ask, engine):
    os.environ["POLARS_MAX_THREADS"] = str(ask.threads)
    import polars as pl

    table = pl.from_arrow(load(ask.path)).lazy() if ask.format == "memory" else None

    def run():
        frame = table
        if ask.format == "txt":
            schema = {"station": pl.String, "temperature": pl.Float64}
            frame = pl.scan_csv(ask.path, separator=";", has_header=False, schema=schema)
        elif ask.format == "csv":
            frame = pl.scan_csv(ask.path)
        elif ask.format == "parquet":
            frame = pl.scan_parquet(ask.path)
        elif ask.format == "arrow":
            frame = pl.scan_ipc(ask.path)
        if ask.question.several:
            frame = frame.drop_nulls("v3")
        grouped = frame.group_by(*ask.question.keys).agg(*ask.question.polars(pl, ask.nulls))
        if ask.question.several:
            grouped = grouped.explode("v3")
        return grouped.collect(engine=engine)

    return run, lambda frame: frame.to_arrow()


def datafusion(ask):
    import datafusion
    import pyarrow as pa

    session = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(ask.threads))
    if ask.format == "memory":
        batches = load(ask.path).to_batches()
        session.register_record_batches("x", [batches[at :: ask.threads] for at in range(ask.threads)])

    def run():
        if ask.format == "txt":
            schema = pa.schema([("station", pa.string()), ("temperature", pa.float64())])
            session.register_csv("x", ask.path, schema=schema, has_header=False, delimiter=";", file_extension=".txt")
        elif ask.format != "memory":
            getattr(session, f"register_{ask.format}")("x", ask.path)
        return session.sql(ask.question.statement("datafusion", "x")).collect()

    return run, pa.Table.from_batches


# Where chdb's Python() finds the table.
table = None


def chdb(ask):
    import chdb
    import pyarrow as pa
    import pyarrow.ipc

    settings = f"max_threads = {ask.threads}"
    if ask.format == "memory":
        global table
        table = load(ask.path)
        source = "Python(table)"
    elif ask.format == "txt":
        source = f"file('{ask.path}', CSV, 'station String, temperature Float64')"
        settings += ", format_csv_delimiter = ';'"
    else:
        source = f"file('{ask.path}', {dict(csv='CSVWithNames', parquet='Parquet', arrow='Arrow')[ask.format]})"
        if ask.nulls and ask.format == "csv":
            settings += ", format_csv_null_representation = ''"

    def run():
        return chdb.query(f"{ask.question.statement('chdb', source)} settings {settings}", "Arrow").bytes()

    return run, lambda data: pa.ipc.open_file(pa.py_buffer(data)).read_all()


ENGINES = {
    "duckdb": duckdb,
    "polars": lambda ask: polars(ask, "in-memory"),
    "polars-streaming": lambda ask: polars(ask, "streaming"),
    "datafusion": datafusion,
    "chdb": chdb,
}


class Ask:
    def __init__(self, dataset, question, form, path, threads):
        self.question = questions(dataset)[question]
        self.nulls = "_na" in dataset
        self.format, self.path, self.threads = form, path, int(threads)


def main():
    engine, dataset, question, form, path, threads, *answer = sys.argv[1:]
    run, to_arrow = ENGINES[engine](Ask(dataset, question, form, path, threads))
    before = anonymous()
    started = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "anonymous_before": before}), flush=True)
    if answer:
        import pyarrow as pa
        import pyarrow.ipc

        result = to_arrow(result)
        with pa.ipc.new_file(answer[0], result.schema) as sink:
            sink.write_table(result)


if __name__ == "__main__":
    main()
