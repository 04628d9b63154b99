//! `tidemill stream` and `tidemill checkpoint`, as a user types them.

use std::fs;

use crate::support::{Bench, Ran};

pub const FIRST: &str = "ts,region,amount\n2026-01-01T00:00:01,north,0.1\n2026-01-01T00:00:03,south,0.2\n\
    2026-01-01T00:00:12,north,0.7\n";
const SECOND: &str = "amount,ts,region\n5,2026-01-01T00:00:14,south\n1,2026-01-01T00:00:31,north\n\
    9,2026-01-01T00:00:02,north\n";

/// A folder `in` with two files.
pub fn bench() -> Bench {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench.write("in/a.csv", FIRST);
    bench.write("in/b.csv", SECOND);
    bench
}

pub fn stream(bench: &Bench, more: &[&str]) -> Ran {
    let common = ["stream", "--source", "dir:in/*.csv", "--by", "region", "sum(amount)", "count()"];
    bench.run(common.iter().chain(more))
}

const WINDOWED: [&str; 6] = ["--window", "tumbling 10s on ts", "--watermark", "5s", "--trigger", "available-now"];

#[test]
fn a_checkpoint_is_gone_on_from_shown_and_checked() {
    let bench = bench();
    let kept = [&WINDOWED[..], &["--checkpoint", "ckpt", "--sink", "csv:out", "--max-files", "1"]].concat();
    let ran = stream(&bench, &kept);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let (day, north) = ("2026-01-01T00:00", "9.1,2");
    // 9.1 is of both files: the window was open in the state between their batches.
    assert_eq!(
        bench.read("out/part-00000001.csv"),
        format!(
            "window_start,window_end,region,sum(amount),count()\n{day}:00,{day}:10,north,{north}\n\
             {day}:00,{day}:10,south,0.2,1\n{day}:10,{day}:20,north,0.7,1\n{day}:10,{day}:20,south,5.0,1\n"
        )
    );
    // Nothing new: nothing is done. Then the end.
    assert_eq!(stream(&bench, &kept).code, Some(0));
    let ran = stream(&bench, &[&kept[..], &["--finish", "--progress"]].concat());
    let json: serde_json::Value = serde_json::from_str(ran.err.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&json["batchId"], &json["numInputRows"], &json["sink"]["numOutputRows"]),
        (&2.into(), &0.into(), &1.into())
    );
    assert!(bench.read("out/part-00000002.csv").ends_with(&format!("{day}:30,{day}:40,north,1.0,1\n")));
    let shown = bench.run(["checkpoint", "show", "ckpt"]);
    assert!(shown.out.contains("window   tumbling 10s on ts") && shown.out.contains("after batch 2"), "{}", shown.out);
    assert_eq!(bench.run(["checkpoint", "verify", "ckpt"]).out, "9 files, 0 damaged\nit goes on after batch 2\n");
    // A changed byte is found by who asks, and by the query.
    let mut state = fs::read(bench.path("ckpt/state/2")).unwrap();
    *state.last_mut().unwrap() ^= 1;
    fs::write(bench.path("ckpt/state/2"), state).unwrap();
    let found = bench.run(["checkpoint", "verify", "ckpt"]);
    assert_eq!(found.code, Some(1));
    assert!(found.err.contains("state/2: its checksum is wrong"), "{}", found.err);
    let ran = stream(&bench, &[&kept[..], &["--finish"]].concat());
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.contains("note: ckpt: batch 2 cannot be gone on from"), "{}", ran.err);
    assert_eq!(bench.run(["checkpoint", "verify", "ckpt"]).code, Some(0));
}

#[test]
fn without_a_checkpoint_lines_come_out() {
    let bench = bench();
    // 0.1 + 0.7 is nearer to 0.7999999999999999 than to 0.8, as doubles.
    let ran = stream(&bench, &["--mode", "update", "--trigger", "available-now", "--max-files", "1"]);
    assert_eq!(
        ran.out,
        "region,sum(amount),count()\nnorth,0.7999999999999999,2\nsouth,0.2,1\nnorth,10.8,4\nsouth,5.2,2\n"
    );
    let ran = stream(
        &bench,
        &["--mode", "complete", "--order-by", "region desc", "--limit", "1", "--trigger", "once", "--sink", "ndjson"],
    );
    assert_eq!(ran.out, "{\"region\":\"south\",\"sum(amount)\":5.2,\"count()\":2}\n");
    // No file yet is no error.
    fs::remove_dir_all(bench.path("in")).unwrap();
    let ran = stream(&bench, &["--mode", "update", "--trigger", "available-now"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
}

#[test]
fn late_and_bad_rows_have_files_of_their_own_and_are_there_once() {
    let bench = bench();
    bench.write(
        "in/c.csv",
        "ts,region,amount,note\n2026-01-01T00:00:05,west,4,a\n2026-01-01T00:00:50,\"x, y\",abc,b\n\
         2026-01-01T00:00:55,south,1,c\n2026-01-01T00:00:19,north,2,d\n",
    );
    let kept = [&WINDOWED[..], &["--checkpoint", "ckpt", "--sink", "csv:out", "--max-files", "1"]].concat();
    // Without a place for it a bad row ends the query, at the batch that has it.
    let ran = stream(&bench, &[&kept[..], &["--late", "late.ndjson"]].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("in/c.csv:3") && ran.err.contains("'abc'"), "{}", ran.err);
    assert_eq!(bench.read("late.ndjson"), "");
    let aside = [&kept[..], &["--late", "late.ndjson", "--rejects", "bad.csv"]].concat();
    let ran = stream(&bench, &aside);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("2 of them late"), "{}", ran.err);
    let late = "{\"batch\":2,\"ts\":\"2026-01-01T00:00:05\",\"region\":\"west\",\"amount\":4.0}\n\
                {\"batch\":2,\"ts\":\"2026-01-01T00:00:19\",\"region\":\"north\",\"amount\":2.0}\n";
    assert_eq!(bench.read("late.ndjson"), late);
    let bad = bench.read("bad.csv");
    let lines: Vec<&str> = bad.lines().collect();
    assert_eq!(lines[0], "batch,file,line,byte,column_index,column,error_type,message,raw");
    assert!(lines[1].starts_with("2,in/c.csv,3,") && lines[1].contains(",amount,cast,"), "{bad}");
    assert!(lines[1].ends_with(",\"2026-01-01T00:00:50,\"\"x, y\"\",abc,b\"") && lines.len() == 2, "{bad}");
    // The last batch is done again, as if the process had ended before its commit: nothing is there twice.
    fs::remove_file(bench.path("ckpt/commits/2")).unwrap();
    let out = bench.read("out/part-00000002.csv");
    assert_eq!(stream(&bench, &aside).code, Some(0));
    assert_eq!((bench.read("late.ndjson"), bench.read("bad.csv")), (late.into(), bad));
    assert_eq!(bench.read("out/part-00000002.csv"), out);
    // A limit of bad rows; a folder; what makes no sense.
    let few = ["--rejects", "parquet:bad", "--max-rejects", "0", "--mode", "update", "--trigger", "available-now"];
    let ran = stream(&bench, &few);
    assert!(ran.code == Some(1) && ran.err.contains("in/c.csv:3"), "{}", ran.err);
    let ran = stream(&bench, &["--rejects", "csv:bad2", "--mode", "update", "--trigger", "available-now"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(bench.read("bad2/part-00000000.csv").contains("\nin/c.csv,3,"));
    for (args, code, says) in [
        (&["--late", "late.csv"][..], 2, "nothing is late without a watermark"),
        (&["--late", "late.parquet"], 2, "parquet:FOLDER"),
        (&["--sink", "csv:both", "--rejects", "csv:both"], 2, "both has the output of another query"),
        (&["--rejects", "in/a.csv"], 1, "in/a.csv: it is not the file of a query"),
    ] {
        let ran = stream(&bench, &[args, &["--mode", "update", "--trigger", "available-now"]].concat());
        assert!(ran.code == Some(code) && ran.err.contains(says), "{args:?}: {:?} {}", ran.code, ran.err);
    }
    assert_eq!(bench.read("in/a.csv"), FIRST);
}

#[test]
fn a_late_row_that_cannot_be_given_whole_ends_the_query() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench.write("in/a.csv", "ts,n,note\n2026-01-01T00:00:30,1,5\n");
    // Of two bad values in a column that nothing else reads, one is in a late row.
    bench.write("in/b.csv", "ts,n,note\n2026-01-01T00:00:01,1,x\n2026-01-01T00:00:31,1,y\n");
    let args = ["stream", "--source", "dir:in/*.csv", "count()", "--by", "n", "--max-files", "1", "--late", "late.csv"];
    let ran = bench.run(args.iter().chain(&WINDOWED));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("1 late rows cannot be given with all their columns"), "{}", ran.err);
    let ran = bench.run(args.iter().chain(&WINDOWED).chain(&["--schema", "note:string"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(bench.read("late.csv"), "batch,ts,n,note\n1,2026-01-01T00:00:01,1,x\n");
}

#[test]
fn what_cannot_be_says_why_and_what_could() {
    let bench = bench();
    let now = ["--trigger", "available-now"];
    for (args, code, says) in [
        (&now[..], 2, "add --window and --watermark, or take --mode update"),
        (&["--window", "tumbling 10s"], 2, "does not say on which time"),
        (&["--window", "tumbling 10s on region", "--watermark", "1s"], 2, "an event time is a date or timestamp"),
        (&["--mode", "sometimes"], 2, "append, update, complete"),
        (&["--mode", "update", "--guarantee", "exactly-once"], 2, "add --checkpoint FOLDER"),
        (
            &["--mode", "update", "--checkpoint", "c", "--guarantee", "exactly-once"],
            2,
            "shows a batch that comes twice twice",
        ),
        (&["--mode", "update", "--sink", "parquet"], 2, "cannot be written a few lines at a time"),
        (&["--mode", "update", "--sink", "csv:"], 2, "write csv:out"),
        (&["--mode", "update", "--trigger", "now and then"], 2, "'now and then' is no trigger"),
    ] {
        let ran = stream(&bench, args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
    }
    bench.write("in/c.csv", "ts,region\n2026-01-01,x\n");
    let ran = stream(&bench, &["--mode", "update", "--trigger", "available-now"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("amount"), "{}", ran.err);
    let ran = bench.run(["checkpoint", "show", "in"]);
    assert!(ran.code == Some(2) && ran.err.contains("is no checkpoint"), "{}", ran.err);
}

#[test]
fn standard_input_is_a_stream_that_comes_once() {
    let bench = Bench::new();
    let args = ["stream", "--source", "-", "--by", "region", "sum(amount)", "--mode", "update", "--max-rows", "2"];
    let ran = bench.run_with(args, FIRST);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(ran.out, "region,sum(amount)\nnorth,0.1\nsouth,0.2\nnorth,0.7999999999999999\n");
    let ran = bench.run_with([&args[..], &["--checkpoint", "c", "--guarantee", "exactly-once"]].concat(), FIRST);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("stdin cannot be read again after a failure"), "{}", ran.err);
    // A bad field is named by its line of the whole stream.
    let declared = [&args[..], &["--schema", "amount:float64"]].concat();
    let ran = bench.run_with(declared, format!("{FIRST}2026-01-01T00:00:13,north,much\n"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("-:5, column 'amount'") && ran.err.contains("much"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_after_the_batch_and_the_next_process_goes_on() {
    use std::process::{Command, Stdio};
    let bench = bench();
    let args = ["stream", "--source", "rate:rows=100,advance=1s", "count()", "--window", "tumbling 1s on timestamp"];
    let more = ["--watermark", "0s", "--checkpoint", "c", "--sink", "csv:out"];
    let child = bench.command([&args[..], &more].concat()).stderr(Stdio::piped()).spawn().unwrap();
    // Until it is well on its way.
    while !bench.path("out/part-00000003.csv").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let next = bench.run(["checkpoint", "verify", "c"]);
    assert!(next.code == Some(0) && !next.out.contains("again"), "{}", next.out);
}

#[test]
fn a_growing_file_is_followed_from_run_to_run_and_through_its_rotation() {
    let bench = Bench::new();
    bench.write(
        "app.log",
        "{\"ts\":\"2026-01-01T00:00:01\",\"n\":1}\n{\"ts\":\"2026-01-01T00:00:02\",\"n\":2}\n{\"ts\":\"20",
    );
    let run = |more: &[&str]| {
        let query =
            ["stream", "--source", "tail:app.log", "sum(n)", "count()", "--checkpoint", "ckpt", "--sink", "csv:out"];
        let ran = bench.run(query.iter().chain(&WINDOWED).chain(more));
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    };
    run(&[]);
    let mut log = fs::OpenOptions::new().append(true).open(bench.path("app.log")).unwrap();
    std::io::Write::write_all(&mut log, b"26-01-01T00:00:05\",\"n\":10}\n").unwrap();
    fs::rename(bench.path("app.log"), bench.path("app.log.1")).unwrap();
    bench.write("app.log", "{\"n\":100,\"ts\":\"2026-01-01T00:00:09\"}\n");
    run(&["--finish"]);
    let day = "2026-01-01T00:00";
    assert_eq!(
        bench.read("out/part-00000002.csv"),
        format!("window_start,window_end,sum(n),count()\n{day}:00,{day}:10,113,4\n")
    );
    // Without its file it cannot be known what comes next.
    fs::remove_file(bench.path("app.log")).unwrap();
    let query =
        ["stream", "--source", "tail:app.log", "sum(n)", "count()", "--checkpoint", "ckpt", "--sink", "csv:out"];
    let ran = bench.run(query.iter().chain(&WINDOWED));
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("app.log: the file of which 37 bytes (1 lines) have been read is neither there"),
        "{}",
        ran.err
    );
}

#[test]
fn lines_of_objects_and_events_of_nexmark_are_sources() {
    let bench = Bench::new();
    let lines = ["stream", "--source", "-", "--by", "k", "sum(n)", "--mode", "complete", "--trigger", "once"];
    let ran = bench.run_with(lines, "{\"k\":\"a\",\"n\":1}\n{\"k\":\"b\",\"n\":2}\n{\"k\":\"a\",\"n\":3}");
    assert!(ran.code == Some(0) && ran.out.ends_with("k,sum(n)\na,4\nb,2\n"), "{ran:?}");
    let events =
        ["stream", "--source", "nexmark:all,events=1000,rows=300", "--by", "event_type", "count()", "count(bid.price)"];
    let ran = bench.run(events.iter().chain(&["--mode", "complete", "--trigger", "available-now"]));
    let last: Vec<&str> = ran.out.lines().rev().take(3).collect();
    assert_eq!((ran.code, last), (Some(0), vec!["person,20,0", "bid,920,920", "auction,60,0"]), "{}", ran.err);
}
