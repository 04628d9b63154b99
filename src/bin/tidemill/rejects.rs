//! The file of rows set aside: CSV, one record a row.

use std::io::Write;
use std::path::{Path, PathBuf};

use tidemill::input::Reject;
use tidemill::output::OutputFile;
use tidemill::{Error, Result};

/// The header of a rejects file.
const HEADER: &str = "file,line,byte,column_index,column,error_type,message,raw\n";

/// A rejects file that waits for its rows.
pub struct Rejects {
    path: PathBuf,
    file: OutputFile,
}

impl Rejects {
    /// Begins the file, so that a folder that cannot be written is found out before the run.
    pub fn begin(path: &Path) -> Result<Rejects> {
        Ok(Rejects { path: path.to_owned(), file: OutputFile::create(path)? })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the rows set aside. No rows give the header alone.
    pub fn write(self, rejects: &[Reject]) -> Result<()> {
        let mut sink = self.file.sink();
        let written = sink.write_all(text(rejects).as_bytes()).and_then(|()| sink.flush());
        written.map_err(|e| Error::io("cannot write", &self.path, e))?;
        self.file.commit()
    }
}

fn text(rejects: &[Reject]) -> String {
    let mut out = HEADER.to_owned();
    for reject in rejects {
        let place = &reject.place;
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let fields = [
            place.file.as_ref().map(|f| f.display().to_string()).unwrap_or_default(),
            number(place.line),
            number(place.byte),
            number(reject.column_index.map(|c| c as u64)),
            place.column.clone().unwrap_or_default(),
            reject.error_type.to_owned(),
            reject.message.clone(),
            reject.raw.clone(),
        ];
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            quote(field, &mut out);
        }
        out.push('\n');
    }
    out
}

/// A field, in quotes where it needs them.
fn quote(field: &str, out: &mut String) {
    if field.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill::Place;

    #[test]
    fn one_record_a_row_and_quotes_where_needed() {
        let place = Place {
            file: Some("a,b.csv".into()),
            line: Some(7),
            byte: Some(90),
            column: Some("x".into()),
            ..Place::default()
        };
        let reject = Reject {
            place,
            column_index: Some(2),
            error_type: "cast",
            message: "'z': not an integer (int64)".into(),
            raw: "1,\"z\"\r\n".into(),
        };
        let none = Reject {
            place: Place::default(),
            column_index: None,
            error_type: "arithmetic",
            message: "m".into(),
            raw: String::new(),
        };
        assert_eq!(
            text(&[reject, none]),
            "file,line,byte,column_index,column,error_type,message,raw\n\"a,b.csv\",7,90,2,x,cast,'z': not an integer \
             (int64),\"1,\"\"z\"\"\r\n\"\n,,,,,arithmetic,m,\n"
        );
    }
}
