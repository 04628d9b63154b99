//! Lines of CSV or NDJSON that come once: standard input, a connection.
//!
//! A thread reads them ahead, as far as a bounded queue lets it: who writes faster than batches are done has to wait. They cannot be read
//! again, so what a batch has taken is lost with the process. A record is a line: a line end in quotes ends it all the same. What the lines are
//! is told by the options, or by the first that is not blank.

use std::collections::VecDeque;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use serde_json::{Value as Json, json};

use super::{Limits, Source, foreign};
use crate::column::Schema;
use crate::input::part::{Beginning, Dialect};
use crate::input::{self, OpenOptions};
use crate::{Error, Result};

/// Bytes that are read at a time, and blocks of them that may wait.
const BLOCK: usize = 1 << 16;
const WAITING: usize = 64;
/// A line longer than this is no line of a stream.
const LONGEST: usize = 64 << 20;

/// Lines from whatever can be read.
pub struct LinesSource {
    name: String,
    options: OpenOptions,
    /// Whole lines; the end of the input ends it.
    queue: Receiver<Result<Vec<u8>>>,
    /// Lines that were taken off the queue and not planned.
    waiting: Vec<u8>,
    /// Whether the queue has ended.
    is_over: bool,
    /// What the first lines were; nothing before they have been looked at: the first may be a header.
    dialect: Option<Dialect>,
    /// Ranges that were planned and not opened.
    planned: VecDeque<(Json, Vec<u8>)>,
    /// Bytes and lines before `waiting`.
    before: (u64, u64),
}

impl LinesSource {
    /// Lines that `from` gives, which messages call `name`.
    ///
    /// # Errors
    /// There cannot be another thread.
    pub fn of(
        from: impl Read + Send + 'static,
        name: impl Into<String>,
        options: impl Into<OpenOptions>,
    ) -> Result<LinesSource> {
        let (name, options) = (name.into(), options.into());
        let (sender, queue) = bounded(WAITING);
        let path = PathBuf::from(&name);
        let read = move || {
            if let Err(e) = read_lines(from, &sender) {
                _ = sender.send(Err(Error::io("cannot read", path, e)));
            }
        };
        std::thread::Builder::new().name("tidemill-lines".into()).spawn(read).map_err(|e| Error::Resource {
            message: format!("cannot start a thread that reads {name}: {e}"),
            help: None,
        })?;
        Ok(LinesSource {
            name,
            options,
            queue,
            waiting: Vec::new(),
            is_over: false,
            dialect: None,
            planned: VecDeque::new(),
            before: (0, 0),
        })
    }

    /// Lines from the server at `address`, `HOST:PORT`.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn tcp(address: &str, options: impl Into<OpenOptions>) -> Result<LinesSource> {
        let name = format!("tcp:{address}");
        let stream = std::net::TcpStream::connect(address).map_err(|e| Error::io("cannot connect to", &name, e))?;
        LinesSource::of(stream, name, options)
    }

    /// Takes what has come, up to `most` bytes.
    fn take(&mut self, most: usize) -> Result<()> {
        while self.waiting.len() < most {
            match self.queue.try_recv() {
                Ok(lines) => self.waiting.append(&mut lines?),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.is_over = true;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Goes past the first bytes of `waiting`, and gives them.
    fn pass(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.waiting.split_off(bytes);
        let passed = std::mem::replace(&mut self.waiting, rest);
        self.before.0 += passed.len() as u64;
        self.before.1 += memchr::memchr_iter(b'\n', &passed).count() as u64;
        passed
    }
}

/// Reads to the end, and sends whole lines.
fn read_lines(mut from: impl Read, sender: &Sender<Result<Vec<u8>>>) -> std::io::Result<()> {
    let mut lines = Vec::new();
    loop {
        let start = lines.len();
        lines.resize(start + BLOCK, 0);
        let read = loop {
            match from.read(&mut lines[start..]) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        lines.truncate(start + read);
        // The last line may have no end.
        let whole = if read == 0 { lines.len() } else { memchr::memrchr(b'\n', &lines).map_or(0, |at| at + 1) };
        if whole == 0 && lines.len() > LONGEST {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line has no end within 64 MiB"));
        }
        if whole > 0 {
            let rest = lines.split_off(whole);
            // Nobody wants them any more.
            if sender.send(Ok(std::mem::replace(&mut lines, rest))).is_err() {
                return Ok(());
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

impl Source for LinesSource {
    fn description(&self) -> String {
        if self.name == "-" { "stdin".into() } else { self.name.clone() }
    }

    fn is_replayable(&self) -> bool {
        false
    }

    fn schema(&mut self, known: Option<&Schema>) -> Result<Option<Schema>> {
        self.take(BLOCK)?;
        if self.dialect.is_some() && known.is_some() {
            return Ok(known.cloned());
        }
        if self.waiting.trim_ascii().is_empty() {
            if self.is_over {
                // Blank lines to the end.
                self.pass(self.waiting.len());
            }
            return Ok(known.cloned());
        }
        // The options of the user say what the lines are; if they do not, the first lines do.
        let begin = Dialect::begin(self.name.as_ref(), &self.waiting, &self.options)?;
        let Beginning { dialect, schema, header } = begin;
        if known.is_none() && header == self.waiting.len() && !self.is_over {
            // A header alone says nothing of types.
            return Ok(None);
        }
        if self.dialect.replace(dialect).is_none() {
            self.pass(header);
        }
        Ok(Some(known.cloned().unwrap_or(schema)))
    }

    fn plan(&mut self, limits: &Limits) -> Result<Option<Json>> {
        let most = limits.bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(BLOCK * WAITING);
        self.take(most)?;
        if self.dialect.is_none() && !self.waiting.is_empty() {
            // An earlier process knew the columns; the header, if there is one, still comes first.
            self.schema(None)?;
        }
        let ends = memchr::memchr_iter(b'\n', &self.waiting).map(|at| at + 1);
        let rows = limits.rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(usize::MAX).max(1);
        let bytes = match ends.clone().take(rows).take_while(|end| *end <= most).last() {
            // One line is always read.
            None => ends.clone().next().unwrap_or(self.waiting.len()),
            // What has no line end is the last line.
            Some(end) if end < self.waiting.len() && ends.count() < rows && self.waiting.len() <= most => {
                self.waiting.len()
            }
            Some(end) => end,
        };
        if bytes == 0 {
            return Ok(None);
        }
        let (from, line) = self.before;
        let text = self.pass(bytes);
        let range = json!({ "from": from, "bytes": bytes, "afterLine": line });
        self.planned.push_back((range.clone(), text));
        Ok(Some(range))
    }

    fn extent(&self, range: &Json) -> Limits {
        Limits { bytes: range.get("bytes").and_then(Json::as_u64), ..Limits::default() }
    }

    fn replay(&mut self, _: &Json) -> Result<()> {
        // What was read is gone; a connection begins where it begins.
        Ok(())
    }

    fn open(&mut self, range: &Json, schema: &Schema) -> Result<Arc<dyn input::Source>> {
        let planned = self.planned.iter().position(|(planned, _)| planned == range);
        let (_, text) = planned.and_then(|at| self.planned.remove(at)).ok_or_else(|| foreign(&self.name, range))?;
        let number = |name| range.get(name).and_then(Json::as_u64).unwrap_or(0);
        let dialect = self.dialect.ok_or_else(|| foreign(&self.name, range))?;
        dialect.part(self.name.as_ref(), &text, (number("from"), number("afterLine")), &self.options, schema)
    }

    fn position(&self) -> Json {
        json!({ "bytes": self.before.0, "lines": self.before.1 })
    }

    fn restore(&mut self, _: &Json) -> Result<()> {
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over && self.waiting.is_empty() && self.planned.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{CsvOptions, TextFormat};
    use crate::{Engine, Input, Job, col};

    /// Gives its parts one by one, as a pipe does.
    struct Parts(VecDeque<&'static [u8]>);

    impl Read for Parts {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let Some(part) = self.0.pop_front() else { return Ok(0) };
            into[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    /// Waits until the whole input is in the queue.
    fn settled(parts: &[&'static str], options: impl Into<OpenOptions>) -> LinesSource {
        let parts = Parts(parts.iter().map(|part| part.as_bytes()).collect());
        let mut source = LinesSource::of(parts, "-", options).unwrap();
        while !source.is_over {
            source.take(usize::MAX).unwrap();
            std::thread::yield_now();
        }
        source
    }

    fn sum(source: &mut LinesSource, range: &Json, schema: &Schema) -> String {
        let rows = source.open(range, schema).unwrap();
        let job = Job::new().aggregate(crate::aggregate::sum(col("x")));
        let report = Engine::new().threads(1).run(&job, &Input::from_source(rows));
        report.map_or_else(|e| e.to_string(), |r| crate::output::value_text(r.batches[0].column(0), 0).unwrap())
    }

    #[test]
    fn lines_come_once_in_batches_of_whole_ones() {
        let mut source = settled(&["x,y\n1", ",a\n2,b\n3,c", "\n4,d\n5,e"], CsvOptions::default());
        let schema = source.schema(None).unwrap().unwrap();
        assert_eq!(schema.fields.len(), 2);
        let two = Limits { rows: Some(2), ..Limits::default() };
        let first = source.plan(&two).unwrap().unwrap();
        assert_eq!(first, json!({ "from": 4, "bytes": 8, "afterLine": 1 }));
        let second = source.plan(&two).unwrap().unwrap();
        let third = source.plan(&two).unwrap().unwrap();
        assert_eq!(source.plan(&two).unwrap(), None);
        assert!(!source.is_over());
        let sums = [&first, &second, &third].map(|range| sum(&mut source, range, &schema));
        assert_eq!(sums, ["3", "7", "5"]);
        assert!(source.is_over());
    }

    #[test]
    fn messages_count_lines_from_the_first() {
        let mut source = settled(&["x\n1\n2\n", "3\nfour\n"], CsvOptions::default());
        let schema = Schema { fields: vec![crate::column::Field::new("x", crate::Type::Int64)] };
        source.schema(Some(&schema)).unwrap();
        let one = Limits { rows: Some(3), ..Limits::default() };
        source.plan(&one).unwrap().unwrap();
        let range = source.plan(&one).unwrap().unwrap();
        let error = sum(&mut source, &range, &schema);
        assert!(error.contains("-:5, column 'x'") && error.contains("four"), "{error}");
    }

    #[test]
    fn bytes_bound_a_batch_and_a_header_may_be_declared_away() {
        let options = CsvOptions { header: Some(false), ..CsvOptions::default() };
        let mut source = settled(&["10\n20\n", "30\n"], options);
        let schema = source.schema(None).unwrap().unwrap();
        assert_eq!(schema.fields[0].name, "c1");
        let four = Limits { bytes: Some(4), ..Limits::default() };
        let lengths: Vec<_> =
            std::iter::from_fn(|| source.plan(&four).unwrap()).map(|range| range["bytes"].as_u64().unwrap()).collect();
        assert_eq!(lengths, [3, 3, 3]);
    }

    #[test]
    fn an_object_first_means_ndjson() {
        let lines = ["\n {\"x\":1,\"y\":{\"z\":\"a\"}}\n{\"x\"", ":2}\n{\"y\":null}\n", "{\"x\":3}"];
        let mut source = settled(&lines, OpenOptions::default());
        let schema = source.schema(None).unwrap().unwrap();
        assert_eq!(schema.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["x", "y.z"]);
        let three = Limits { rows: Some(3), ..Limits::default() };
        let first = source.plan(&three).unwrap().unwrap();
        let rest = source.plan(&three).unwrap().unwrap();
        assert_eq!((rest["afterLine"].as_u64(), source.plan(&three).unwrap()), (Some(3), None));
        assert_eq!([&first, &rest].map(|range| sum(&mut source, range, &schema)), ["3", "3"]);
        // The options have the last word.
        let told = OpenOptions { text: Some(TextFormat::Csv), ..OpenOptions::default() };
        let schema = settled(&["{\"x\":1}\n2\n"], told).schema(None).unwrap().unwrap();
        assert_eq!(schema.fields[0].name, "{\"x\":1}");
    }

    #[test]
    fn a_bad_line_of_ndjson_is_placed_in_the_whole() {
        let mut source = settled(&["{\"x\":1}\n{\"x\":2}\n{\"x\":3}\n{\"x\":\n"], OpenOptions::default());
        let schema = source.schema(None).unwrap().unwrap();
        let two = Limits { rows: Some(2), ..Limits::default() };
        source.plan(&two).unwrap().unwrap();
        let range = source.plan(&two).unwrap().unwrap();
        let error = sum(&mut source, &range, &schema);
        assert!(error.contains("-:4: ") && error.contains("the line ends before its object does"), "{error}");
    }

    #[test]
    fn blank_lines_to_the_end_are_the_end() {
        let mut source = settled(&["\n", " \n"], OpenOptions::default());
        assert_eq!(source.schema(None).unwrap(), None);
        assert!(source.is_over());
    }
}
