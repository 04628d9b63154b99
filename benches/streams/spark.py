#!/usr/bin/env python3
"""Spark's part of run.py: one JVM, local[2]. Reads tasks as lines of JSON on standard input, runs each, and prints a line of JSON for each."""
import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

STORES = {
    "rocksdb": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    "memory": "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider",
}
COLUMNS = {
    "csv": "auction BIGINT, bidder BIGINT, price BIGINT, ts BIGINT",
    "parquet": "auction BIGINT, bidder BIGINT, price BIGINT, ts TIMESTAMP",
    "keys": "auction BIGINT, price BIGINT, ts TIMESTAMP",
}


def session(threads, memory, scratch):
    spark = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.driver.memory", memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", scratch)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(threads))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.streaming.numRecentProgressUpdates", "100000")
        .config("spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled", "true")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def peak(pid):
    """The most memory that a process ever had in RAM, in bytes."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def rows(spark, task):
    kind = task["format"]
    if kind == "rate":
        return (
            spark.readStream.format("rate-micro-batch")
            .option("rowsPerBatch", task["rows"])
            .option("numPartitions", 1)
            .option("advanceMillisPerBatch", 1000)
            .load()
            .select(f.col("timestamp").alias("ts"), (f.col("value") % 100).alias("auction"), f.col("value").alias("price"))
        )
    source = spark.readStream.schema(COLUMNS[kind]).option("maxFilesPerTrigger", 1)
    if kind == "csv":
        frame = source.option("header", True).csv(task["input"])
        return frame.withColumn("ts", f.timestamp_millis("ts"))
    return source.parquet(task["input"])


def query(spark, task):
    spark.conf.set("spark.sql.streaming.stateStore.providerClass", STORES[task["store"]])
    spans = {"hopping": ("10 seconds", "2 seconds"), "tumbling": ("10 seconds",), "day": ("1 day",)}[task["window"]]
    aggregates = [f.count(f.lit(1)).alias("bids")]
    if not task.get("count_only"):
        aggregates.append(f.sum("price").alias("total"))
    grouped = rows(spark, task).withWatermark("ts", "5 seconds").groupBy(f.window("ts", *spans), "auction").agg(*aggregates)
    millis = [f.unix_millis(f.col("window")[end]).alias(f"window_{end}") for end in ("start", "end")]
    stream = grouped.select(*millis, "auction", *[c for c in ("bids", "total") if c in grouped.columns]).writeStream
    stream = stream.outputMode("append").option("checkpointLocation", task["checkpoint"])
    if task.get("output"):
        stream = stream.format("csv").option("path", task["output"])
    else:
        stream = stream.format("noop")
    return stream.trigger(availableNow=True) if task.get("drain", True) else stream.trigger(processingTime="0 seconds")


def latencies(spark, task):
    """Batches until there are `batches` of them; how long each took, in milliseconds."""
    running = query(spark, {**task, "drain": False}).start()
    while (running.lastProgress or {"batchId": 0})["batchId"] < task["batches"]:
        if not running.isActive:
            raise SystemExit(f"the query ended: {running.exception()}")
        time.sleep(0.05)
    running.stop()
    # Spark tells of every batch that read something.
    return [p["durationMs"]["triggerExecution"] for p in running.recentProgress if p["numInputRows"] == task["rows"]]


def main():
    options = json.loads(sys.argv[1])
    spark = session(options["threads"], options["memory"], options["scratch"])
    pid = spark._jvm.ProcessHandle.current().pid()
    for line in sys.stdin:
        task = json.loads(line)
        answer = {"task": task["task"]}
        if task["task"] == "go on":
            # Runs until it is killed; whoever waits looks into the checkpoint.
            running = query(spark, {**task, "drain": False}).start()
            print(json.dumps({**answer, "pid": pid}), flush=True)
            running.awaitTermination()
        elif "batches" in task:
            answer["latencies"] = latencies(spark, task)
        else:
            started = time.perf_counter()
            running = query(spark, task).start()
            running.awaitTermination()
            answer["seconds"] = time.perf_counter() - started
            answer["batch_count"] = len({p["batchId"] for p in running.recentProgress})
            answer["rows_read"] = sum(p["numInputRows"] for p in running.recentProgress)
        answer["peak_rss"] = peak(pid)
        print(json.dumps(answer), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
