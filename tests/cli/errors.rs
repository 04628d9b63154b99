//! What is refused, in which words, with which code.

use crate::support::Bench;

fn bench() -> Bench {
    let bench = Bench::with("trips.csv", "vendor,fare,n\nA,1.5,1\nB,x,2\nC,2.5,0\n");
    bench.write("good.csv", "vendor,fare\nA,1.5\nB,2.5\n");
    bench.write("empty.csv", "");
    std::fs::create_dir(bench.path("folder")).unwrap();
    bench
}

/// The arguments of `agg`, the code, all of stderr.
type Refused<'a> = (&'a [&'a str], i32, &'a str);

fn check(cases: &[Refused<'_>]) {
    let bench = bench();
    let before = bench.names();
    for (args, code, want) in cases {
        let ran = bench.run([&["agg"], *args].concat());
        assert_eq!((ran.code, ran.err.as_str(), ran.out.as_str()), (Some(*code), *want, ""), "{args:?}");
    }
    assert_eq!(bench.names(), before, "nothing was left behind");
}

#[test]
fn files_that_are_not_there() {
    check(&[
        (&["trips.cvs", "count()"], 2, "tidemill: no such file: trips.cvs (did you mean trips.csv?)\n"),
        (&["./folder/trips.csv", "count()"], 2, "tidemill: no such file: ./folder/trips.csv\n"),
        (&["folder", "count()"], 2, "tidemill: folder is a directory (name its files, for example folder/*.csv)\n"),
        (&["count()"], 2, "tidemill: no input file (name one or more, or - for standard input)\n"),
        (&["-", "-", "count()"], 2, "tidemill: standard input (-) can be read only once\n"),
        (
            &["good.csv", "fare"],
            2,
            "tidemill: 'fare' is neither a file that exists nor an aggregate (a column to group by goes into --by fare; an \
             aggregate is a call, as in count() or sum(fare))\n",
        ),
        (
            &["empty.csv", "count()"],
            1,
            "tidemill: empty.csv: the file is empty (with --schema 'col:type,…' it is read as 0 rows of those columns)\n",
        ),
    ]);
}

#[test]
fn expressions_that_cannot_be() {
    check(&[
        (
            &["good.csv", "--by", "vendr", "sum(fare)"],
            2,
            "tidemill: unknown column `vendr`\n  vendr\n  ^\n  (did you mean `vendor`?)\n",
        ),
        (
            &["good.csv", "summ(fare)"],
            2,
            "tidemill: unknown function `summ`\n  summ(fare)\n  ^\n  (did you mean `sum`?)\n",
        ),
        (&["good.csv", "sum(fare"], 2, "tidemill: expected ), found the end\n  sum(fare\n          ^\n"),
        (&["good.csv", "sum(vendor)"], 2, "tidemill: sum needs numbers, not string\n  sum(vendor)\n      ^\n"),
        (
            &["good.csv", "count() + fare"],
            2,
            "tidemill: column 'fare' is neither in --by nor inside an aggregate\n  count() + fare\n            ^\n  (add it to \
             --by, or take min(fare), max(fare), any_value(fare))\n",
        ),
        (
            &["good.csv"],
            2,
            "tidemill: nothing to compute (give an aggregate such as count() or sum(x), or --by for the distinct values)\n",
        ),
    ]);
}

#[test]
fn options_that_cannot_be() {
    let usage = "Usage: tidemill agg FILE… [--by COL,…] [OPTIONS] AGG…\n\nFor more information, try '--help'.\n";
    check(&[
        (
            &["good.csv", "count()", "--device", "tpu"],
            2,
            "tidemill: unknown device 'tpu' (auto, cpu, gpu, or gpu:N with N from 'tidemill devices')\n",
        ),
        (
            &["good.csv", "count()", "--chunk-size", "0"],
            2,
            "tidemill: '0' is not a size (sizes are like 65536, 512K, 64MB or 1MiB, and at least 1)\n",
        ),
        (
            &["good.csv", "count()", "--delimiter", ",,"],
            2,
            "tidemill: ',,' is not a delimiter (it is one ASCII character; write \\t or tab for the tab)\n",
        ),
        (
            &["good.csv", "count()", "--schema", "fare"],
            2,
            "tidemill: 'fare' in --schema is not NAME:TYPE (write --schema 'carrier:string,fare:decimal(10,2)')\n",
        ),
        (
            &["good.csv", "count()", "--schema", "fair:float64"],
            2,
            "tidemill: the schema names column 'fair', which is not there (did you mean 'fare'?)\n",
        ),
        (
            &["good.csv", "count()", "-o", "x.foo"],
            2,
            "tidemill: the name of the output file x.foo does not say its format (give --format, or an extension: csv, tsv, \
             json, ndjson, md, parquet, arrow)\n",
        ),
        (
            &["good.csv", "count()", "-o", "no/x.csv"],
            1,
            "tidemill: cannot create no/x.csv: No such file or directory (os error 2)\n",
        ),
        (
            &["good.csv", "count()", "-o", "r", "--format", "csv", "--rejects", "r"],
            2,
            "tidemill: --rejects and --output name the same file\n",
        ),
        (
            &["good.csv", "count()", "--max-rejects", "3"],
            2,
            &format!("tidemill: the following required arguments were not provided:\n  --rejects <FILE>\n\n{usage}"),
        ),
        (
            &["good.csv", "count()", "--nope"],
            2,
            &format!(
                "tidemill: unexpected argument '--nope' found\n\n  tip: to pass '--nope' as a value, use '-- --nope'\n\n{usage}"
            ),
        ),
    ]);
}

#[test]
fn data_that_cannot_be() {
    check(&[
        (
            &["trips.csv", "--schema", "fare:float64", "sum(fare)", "-o", "o.csv"],
            1,
            "tidemill: trips.csv:3, column 'fare': not a float64: found 'x' (--schema 'fare:string' would read it; \
             --null-values names texts that mean null)\n",
        ),
        (
            &["trips.csv", "--by", "vendor", "sum(1 // n)", "-o", "o.parquet"],
            1,
            "tidemill: trips.csv:4: 1 // 0 divides by zero in `1 // n` (try(…) gives null instead)\n",
        ),
    ]);
}

#[test]
fn a_device_that_is_not_there() {
    let bench = bench();
    let ran = bench.run(["agg", "good.csv", "count()", "--device", "gpu:99"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{}", ran.err);
    assert!(
        ran.err.contains("tidemill: there is no gpu:99") || ran.err.contains("no GPU adapter found"),
        "{}",
        ran.err
    );
}

#[test]
fn help_and_version() {
    let bench = Bench::new();
    for args in [&["--help"][..], &["agg", "--help"]] {
        let ran = bench.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.contains("Exit codes:\n  0    done"), "{}", ran.out);
    }
    assert_eq!(bench.run(["--version"]).out, concat!("tidemill ", env!("CARGO_PKG_VERSION"), "\n"));
    let bare = bench.run([""; 0]);
    assert_eq!((bare.code, bare.out.as_str()), (Some(2), ""));
    assert!(bare.err.contains("Usage: tidemill <COMMAND>"), "{}", bare.err);
}
