//! What the driver made of the kernels, kept from one process to the next where the graphics API has it (Vulkan).
//!
//! The file is named as wgpu advises, by adapter and device; wgpu and the driver refuse what another driver version wrote.
//! A file that is not whole is ignored and replaced: the bytes are sealed with their length and a checksum. It is written
//! beside and renamed, so that processes that end together do not mix theirs. Nothing here can fail a job.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::device::Gpu;

/// What the file starts with: whose it is, and the version of this format.
const MAGIC: &[u8; 8] = b"tidepc01";
/// A driver that keeps no more than a header's worth keeps nothing.
const LEAST: usize = 1 << 10;

/// A device's cache and its file.
#[derive(Debug)]
pub(super) struct PipelineCache {
    pub(super) inner: wgpu::PipelineCache,
    path: PathBuf,
    /// Checksum of what the file holds.
    kept: Option<u64>,
}

impl PipelineCache {
    /// The cache of a device, with what `folder` has for it. `None` where the API has none.
    pub(super) fn open(gpu: &Gpu, folder: &Path) -> Option<PipelineCache> {
        let key = wgpu::util::pipeline_cache_key(&gpu.device.adapter_info())?;
        if !gpu.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(key);
        let file = std::fs::read(&path).unwrap_or_default();
        let data = unseal(&file);
        let inner = create(gpu, data);
        Some(PipelineCache { inner, path, kept: data.map(checksum) })
    }

    /// Writes what the driver has, if that is more than the file does. True if it was written.
    pub(super) fn save(&mut self) -> bool {
        let Some(data) = self.inner.get_data().filter(|data| data.len() >= LEAST) else { return false };
        let sum = checksum(&data);
        if self.kept == Some(sum) {
            return false;
        }
        let Some(folder) = self.path.parent() else { return false };
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&seal(&data))?;
            file.persist(&self.path)?;
            Ok(())
        };
        // A cache that cannot be written is only slow.
        let written = write().is_ok();
        if written {
            self.kept = Some(sum);
        }
        written
    }
}

#[allow(unsafe_code, reason = "wgpu cannot check that a driver's own bytes are the driver's own")]
fn create(gpu: &Gpu, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("kernels"), data, fallback: true };
    // SAFETY: `data` must come from `PipelineCache::get_data`. Only `save` writes files with our seal, and only such
    // bytes; a torn, truncated or foreign file fails its length or checksum and gives `None`. Data of another adapter,
    // driver or wgpu is refused by wgpu's own header and then, by `fallback`, not used.
    unsafe { gpu.device.create_pipeline_cache(&descriptor) }
}

fn seal(data: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend((data.len() as u64).to_le_bytes());
    file.extend(checksum(data).to_le_bytes());
    file.extend(data);
    file
}

fn unseal(file: &[u8]) -> Option<&[u8]> {
    let rest = file.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (sum, data) = rest.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*length) == data.len() as u64 && u64::from_le_bytes(*sum) == checksum(data)).then_some(data)
}

/// 64-bit FNV-1a.
fn checksum(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::device::Options;
    use crate::backend::gpu::record::Recording;
    use crate::backend::gpu::stages::scan;
    use crate::backend::gpu::testing::{bytes, on_each};
    use crate::kernel::scan::reference;

    #[test]
    fn a_seal_tells_whole_files_from_damaged_ones() {
        let data = vec![7u8; 3000];
        let file = seal(&data);
        assert_eq!(unseal(&file), Some(&data[..]));
        assert_eq!(unseal(&file[..file.len() - 1]), None);
        assert_eq!(unseal(&[]), None);
        for at in [0, 9, 17, 24, 2000] {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            assert_eq!(unseal(&damaged), None, "byte {at}");
        }
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn kernels_are_kept_for_the_next_process_and_a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { pipeline_cache: Some(folder.path().to_owned()), ..Options::default() };
        let files = || -> Vec<PathBuf> {
            let mut files: Vec<PathBuf> =
                std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files
        };
        for round in 0..3 {
            on_each(&options, |mut engine| {
                let data: Vec<u32> = (0..20_000).map(|i| i % 5).collect();
                let mut rec = Recording::new();
                let buf = rec.upload("data", bytes(&data));
                scan(&mut rec, &engine.shape(), buf, 20_000);
                let out = rec.download(buf);
                assert_eq!(engine.run(rec).unwrap().take_words(out), reference(&data));
                engine.save_pipelines();
            });
            for file in files() {
                let whole = std::fs::read(&file).unwrap();
                assert!(unseal(&whole).is_some_and(|data| data.len() >= LEAST), "round {round}: {}", file.display());
                match round {
                    // Cut short, then with a byte changed.
                    0 => std::fs::write(&file, &whole[..whole.len() / 2]).unwrap(),
                    1 => {
                        let mut whole = whole;
                        let last = whole.len() - 1;
                        whole[last] ^= 1;
                        std::fs::write(&file, whole).unwrap();
                    }
                    _ => {}
                }
            }
        }
    }
}
