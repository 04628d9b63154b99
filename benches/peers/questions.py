"""The questions, in the words of every engine.

q1–q10 are db-benchmark's group-by questions; k1–k3 ask the same of the skewed and the all-unique keys; b1 is the
one-billion-row challenge's. SQL is DuckDB's; `SPOKEN` has what others say differently. The answer's columns are the keys
and then the values, in this order, in every engine.
"""

from dataclasses import dataclass, field


@dataclass
class Question:
    keys: list
    # tidemill's aggregates.
    tidemill: list
    # SQL's values.
    sql: str
    # Polars' values: a function of the module, whether there are nulls, and giving a list of expressions.
    polars: object
    # Whether a group has several rows, so that an answer is compared by its values' order too.
    several: bool = False
    # By how much floats may differ: relative to the larger one, or in all.
    relative: float = 1e-9
    absolute: float = 0.0
    # SQL of engines that say it in another way, with {source} and {keys}.
    spoken: dict = field(default_factory=dict)

    def statement(self, engine, source):
        if engine in self.spoken:
            return self.spoken[engine].format(source=source)
        keys = ", ".join(self.keys)
        text = f"select {keys}, {self.sql} from {source} group by {keys}"
        for found, instead in SPOKEN.get(engine, {}).items():
            text = text.replace(found, instead)
        return text


SPOKEN = {"chdb": {"median(": "quantileExactInclusive(0.5)(", "stddev_samp(": "stddevSamp("}}


def _sum(pl, name, nulls):
    """Polars' sum of nothing is 0; SQL's is null. Where there are nulls Polars is asked for the same."""
    total = pl.col(name).sum()
    return pl.when(pl.col(name).count() > 0).then(total).alias(name) if nulls else total


def _sums(*names):
    return lambda pl, nulls: [_sum(pl, name, nulls) for name in names]


def _corr(pl, nulls):
    if not nulls:
        return [(pl.corr("v1", "v2") ** 2).alias("r2")]
    both = pl.col("v1").is_not_null() & pl.col("v2").is_not_null()
    return [(pl.corr(pl.col("v1").filter(both), pl.col("v2").filter(both)) ** 2).alias("r2")]


G1 = {
    "q1": Question(["id1"], ["sum(v1) as v1"], "sum(v1) as v1", _sums("v1")),
    "q2": Question(["id1", "id2"], ["sum(v1) as v1"], "sum(v1) as v1", _sums("v1")),
    "q3": Question(
        ["id3"], ["sum(v1) as v1", "mean(v3) as v3"], "sum(v1) as v1, avg(v3) as v3",
        lambda pl, nulls: [_sum(pl, "v1", nulls), pl.col("v3").mean()],
    ),
    "q4": Question(
        ["id4"], ["mean(v1) as v1", "mean(v2) as v2", "mean(v3) as v3"], "avg(v1) as v1, avg(v2) as v2, avg(v3) as v3",
        lambda pl, nulls: [pl.col("v1").mean(), pl.col("v2").mean(), pl.col("v3").mean()],
    ),
    "q5": Question(
        ["id6"], ["sum(v1) as v1", "sum(v2) as v2", "sum(v3) as v3"], "sum(v1) as v1, sum(v2) as v2, sum(v3) as v3",
        _sums("v1", "v2", "v3"),
    ),
    # Median and deviation of floats: engines keep running sums of squares in doubles.
    "q6": Question(
        ["id4", "id5"], ["median(v3) as median_v3", "stddev_samp(v3) as sd_v3"], "median(v3) as median_v3, stddev_samp(v3) as sd_v3",
        lambda pl, nulls: [pl.col("v3").median().alias("median_v3"), pl.col("v3").std().alias("sd_v3")],
        absolute=1e-9,
    ),
    "q7": Question(
        ["id3"], ["max(v1) - min(v2) as range_v1_v2"], "max(v1) - min(v2) as range_v1_v2",
        lambda pl, nulls: [(pl.col("v1").max() - pl.col("v2").min()).alias("range_v1_v2")],
    ),
    "q8": Question(
        ["id6"], ["unnest(top_k(v3, 2)) as largest2_v3"], "",
        lambda pl, nulls: [pl.col("v3").top_k(2)],
        several=True,
        spoken={
            "duckdb": "select id6, unnest(max(v3, 2)) as v3 from {source} where v3 is not null group by id6",
            "datafusion": "select id6, v3 from (select id6, v3, row_number() over (partition by id6 order by v3 desc) as o "
            "from {source} where v3 is not null) where o <= 2",
            "chdb": "select id6, arrayJoin(arraySlice(arrayReverseSort(groupArray(v3)), 1, 2)) as v3 from {source} group by id6",
        },
    ),
    # Nearly uncorrelated columns: r is the small difference of large sums, so r² is right to 1e-9 only in all.
    "q9": Question(
        ["id2", "id4"], ["corr(v1, v2) * corr(v1, v2) as r2"], "pow(corr(v1, v2), 2) as r2", _corr, absolute=1e-9
    ),
    "q10": Question(
        ["id1", "id2", "id3", "id4", "id5", "id6"], ["sum(v3) as v3", "count() as count"], "sum(v3) as v3, count(*) as count",
        lambda pl, nulls: [_sum(pl, "v3", nulls), pl.len().alias("count")],
    ),
}

KEYED = {
    "k1": Question(["key"], ["sum(n) as n"], "sum(n) as n", _sums("n")),
    "k2": Question(
        ["name"], ["count() as count", "mean(x) as x"], "count(*) as count, avg(x) as x",
        lambda pl, nulls: [pl.len().alias("count"), pl.col("x").mean()],
    ),
    "k3": Question(["key"], ["median(x) as x"], "median(x) as x", lambda pl, nulls: [pl.col("x").median()]),
}

# The text has no header: tidemill calls its columns c1 and c2, the others are told these names.
ONEBRC = {
    "b1": Question(
        ["station"],
        ["min(c2) as low", "mean(c2) as mean", "max(c2) as high"],
        "min(temperature) as low, avg(temperature) as mean, max(temperature) as high",
        lambda pl, nulls: [
            pl.col("temperature").min().alias("low"), pl.col("temperature").mean().alias("mean"), pl.col("temperature").max().alias("high")
        ],
    ),
}


def questions(dataset):
    """The questions that are asked of a data set, by name."""
    kind = dataset.split("_")[0]
    return {"g1": G1, "zipf": KEYED, "unique": KEYED, "onebrc": ONEBRC}[kind]


def tidemill_arguments(dataset, name):
    """tidemill's arguments for a question, behind the file."""
    question = questions(dataset)[name]
    if dataset.startswith("onebrc"):
        return ["--no-header", "--delimiter", ";", "--by", "c1", *question.tidemill]
    return ["--by", ",".join(question.keys), *question.tidemill]
