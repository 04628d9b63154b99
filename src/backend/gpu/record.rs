//! Work as data: uploads, clears, dispatches, copies and downloads, in order.
//!
//! A [`Recording`] names its buffers by handles and knows nothing of any device, so tests can read what was planned;
//! the [`Engine`](super::Engine) alone turns it into calls. One recording is one submission.

use std::borrow::Cow;

use super::pool::Kept;
use crate::kernel::{Kernel, Params};

/// A buffer of one recording. Its contents are undefined until written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buf {
    pub(super) id: u32,
    pub(super) bytes: u64,
}

impl Buf {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `words` 32-bit words from word `first`. Bound to a kernel, `first` must be a multiple of 64 (256 bytes).
    pub fn words(&self, first: u64, words: u64) -> View {
        View { buf: *self, offset: first * 4, bytes: words * 4 }
    }

    /// The whole buffer.
    pub fn all(&self) -> View {
        View { buf: *self, offset: 0, bytes: self.bytes }
    }
}

/// A range of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The buffer.
    pub buf: Buf,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

impl From<Buf> for View {
    fn from(buf: Buf) -> Self {
        buf.all()
    }
}

/// Bytes a dispatch is planned to move, for the counters and for rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
}

impl Traffic {
    /// Traffic in 32-bit words.
    pub fn words(read: u64, written: u64) -> Self {
        Self { read: read * 4, written: written * 4 }
    }
}

/// One kernel launch.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// What runs.
    pub kernel: Kernel,
    /// The bytes of its parameters.
    pub params: Vec<u8>,
    /// The parameters' names, compared with the shader's struct.
    pub fields: &'static [&'static str],
    /// Buffers by the name the shader gives them.
    pub bindings: Vec<(&'static str, View)>,
    /// Workgroups; over 65,535 they are folded to two dimensions.
    pub groups: u32,
    /// Bytes it is planned to move.
    pub traffic: Traffic,
}

/// One step of a recording.
#[derive(Clone, Debug)]
pub enum Op<'a> {
    /// Host bytes into a buffer.
    Upload {
        /// Where to.
        to: View,
        /// What; shorter than `to` at most by the padding to a whole word.
        data: Cow<'a, [u8]>,
    },
    /// Zeros into a buffer.
    Clear(View),
    /// A kernel.
    Dispatch(Dispatch),
    /// Bytes from one buffer to another.
    Copy {
        /// Where from.
        from: View,
        /// Where to.
        to: View,
    },
    /// A buffer's bytes back to the host.
    Download(View),
}

/// Where a download's bytes will be in the [`Outcome`](super::Outcome).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download(pub(super) usize);

/// What a recording plans, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernel launches.
    pub dispatches: u64,
    /// Bytes kernels are planned to read and write.
    pub traffic: Traffic,
    /// Uploads.
    pub uploads: u64,
    /// Bytes uploaded.
    pub uploaded: u64,
    /// Downloads.
    pub readbacks: u64,
    /// Bytes downloaded.
    pub read_back: u64,
}

impl Counters {
    /// Adds what another recording plans.
    pub fn add(&mut self, other: &Counters) {
        self.dispatches += other.dispatches;
        self.traffic.read += other.traffic.read;
        self.traffic.written += other.traffic.written;
        self.uploads += other.uploads;
        self.uploaded += other.uploaded;
        self.readbacks += other.readbacks;
        self.read_back += other.read_back;
    }
}

/// A list of steps and the buffers they use.
#[derive(Debug, Default)]
pub struct Recording<'a> {
    pub(super) ops: Vec<Op<'a>>,
    /// Labels of the buffers, by id; the kept ones carry their device buffer.
    pub(super) buffers: Vec<(&'static str, u64)>,
    pub(super) imported: Vec<(u32, Kept)>,
    pub(super) kept: Vec<u32>,
    pub(super) downloads: usize,
}

impl<'a> Recording<'a> {
    /// An empty recording.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new buffer of at least `bytes` bytes (at least one word, rounded up to whole words).
    pub fn buffer(&mut self, label: &'static str, bytes: u64) -> Buf {
        let bytes = bytes.max(4).next_multiple_of(4);
        let id = self.buffers.len() as u32;
        self.buffers.push((label, bytes));
        Buf { id, bytes }
    }

    /// A new buffer of `n` 32-bit words.
    pub fn words(&mut self, label: &'static str, n: u64) -> Buf {
        self.buffer(label, n * 4)
    }

    /// A buffer that an earlier recording kept on the device.
    pub fn import(&mut self, kept: &Kept) -> Buf {
        let buf = self.buffer("kept", kept.bytes());
        self.imported.push((buf.id, kept.clone()));
        buf
    }

    /// Leaves `buf` on the device after the recording has run; the outcome holds it, in the order of these calls.
    pub fn keep(&mut self, buf: Buf) {
        self.kept.push(buf.id);
    }

    /// A new buffer that starts with `data`.
    pub fn upload(&mut self, label: &'static str, data: impl Into<Cow<'a, [u8]>>) -> Buf {
        let data = data.into();
        let buf = self.buffer(label, data.len() as u64);
        self.upload_to(buf, data);
        buf
    }

    /// Writes `data` to the start of `to`.
    pub fn upload_to(&mut self, to: impl Into<View>, data: impl Into<Cow<'a, [u8]>>) {
        self.ops.push(Op::Upload { to: to.into(), data: data.into() });
    }

    /// Writes zeros.
    pub fn clear(&mut self, view: impl Into<View>) {
        self.ops.push(Op::Clear(view.into()));
    }

    /// Launches `kernel` in `groups` workgroups; none, if `groups` is 0.
    pub fn dispatch<P: Params>(
        &mut self,
        kernel: Kernel,
        params: P,
        bindings: &[(&'static str, View)],
        groups: u32,
        traffic: Traffic,
    ) {
        if groups > 0 {
            self.ops.push(Op::Dispatch(Dispatch {
                kernel,
                params: bytemuck::bytes_of(&params).to_vec(),
                fields: P::FIELDS,
                bindings: bindings.to_vec(),
                groups,
                traffic,
            }));
        }
    }

    /// Copies `from` to `to`, which must be at least as long.
    pub fn copy(&mut self, from: impl Into<View>, to: impl Into<View>) {
        self.ops.push(Op::Copy { from: from.into(), to: to.into() });
    }

    /// Brings `view` back to the host.
    pub fn download(&mut self, view: impl Into<View>) -> Download {
        self.ops.push(Op::Download(view.into()));
        self.downloads += 1;
        Download(self.downloads - 1)
    }

    /// The steps.
    pub fn ops(&self) -> &[Op<'a>] {
        &self.ops
    }

    /// What is planned, in numbers.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for op in &self.ops {
            match op {
                Op::Upload { data, .. } => {
                    sum.uploads += 1;
                    sum.uploaded += data.len() as u64;
                }
                Op::Dispatch(dispatch) => {
                    sum.dispatches += 1;
                    sum.traffic.read += dispatch.traffic.read;
                    sum.traffic.written += dispatch.traffic.written;
                }
                Op::Download(view) => {
                    sum.readbacks += 1;
                    sum.read_back += view.bytes;
                }
                Op::Clear(_) | Op::Copy { .. } => {}
            }
        }
        sum
    }

    /// The index of the last step that uses each buffer.
    pub(super) fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![0; self.buffers.len()];
        for (index, op) in self.ops.iter().enumerate() {
            match op {
                Op::Upload { to: view, .. } | Op::Clear(view) | Op::Download(view) => {
                    last[view.buf.id as usize] = index
                }
                Op::Copy { from, to } => {
                    last[from.buf.id as usize] = index;
                    last[to.buf.id as usize] = index;
                }
                Op::Dispatch(dispatch) => {
                    dispatch.bindings.iter().for_each(|(_, view)| last[view.buf.id as usize] = index);
                }
            }
        }
        last
    }
}

/// Workgroups folded into the two dimensions a dispatch may have; kernels undo it with `tile_of`.
pub(super) fn fold(groups: u32) -> (u32, u32) {
    const MOST: u32 = 65_535;
    let y = groups.div_ceil(MOST).max(1);
    (groups.div_ceil(y), y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_covers_every_workgroup_within_the_limit() {
        for groups in [1, 2, 65_535, 65_536, 65_537, 131_071, 1 << 20, u32::MAX / 256] {
            let (x, y) = fold(groups);
            assert!(x <= 65_535 && y <= 65_535 && u64::from(x) * u64::from(y) >= u64::from(groups), "{groups}");
            assert!(u64::from(x) * u64::from(y) - u64::from(groups) < u64::from(y), "{groups}: waste");
        }
    }

    #[test]
    fn counters_tell_what_was_recorded() {
        let mut rec = Recording::new();
        let a = rec.upload("a", vec![0u8; 10]);
        let b = rec.buffer("b", 12);
        rec.copy(a, b);
        rec.download(b);
        let counters = rec.counters();
        assert_eq!((counters.uploads, counters.uploaded), (1, 10));
        assert_eq!((counters.readbacks, counters.read_back), (1, 12));
        assert_eq!(rec.last_uses(), [1, 2]);
    }
}
