//! Unpacks archives, and nothing outside the folder they are unpacked into.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// A kind of archive, told by the file's name as Mesos' fetcher does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Archive {
    /// One compressed file.
    Gzip,
    Tar(Compression),
    Zip,
}

/// How a tar file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Bzip2,
    Gzip,
    None,
    Xz,
}

impl Archive {
    /// Nothing if the name does not end like an archive's.
    pub(super) fn of(name: &str) -> Option<Self> {
        const ENDINGS: [(&str, Archive); 10] = [
            (".tar", Archive::Tar(Compression::None)),
            (".tar.gz", Archive::Tar(Compression::Gzip)),
            (".tgz", Archive::Tar(Compression::Gzip)),
            (".tar.bz2", Archive::Tar(Compression::Bzip2)),
            (".tbz2", Archive::Tar(Compression::Bzip2)),
            (".tar.xz", Archive::Tar(Compression::Xz)),
            (".txz", Archive::Tar(Compression::Xz)),
            (".zip", Archive::Zip),
            (".jar", Archive::Zip),
            // Last: `.tar.gz` ends in it, too.
            (".gz", Archive::Gzip),
        ];
        ENDINGS
            .iter()
            .find(|(ending, _)| name.ends_with(ending) && name.len() > ending.len())
            .map(|&(_, kind)| kind)
    }

    /// Unpacks `file` into `folder`.
    pub(super) fn unpack(self, file: &Path, folder: &Path) -> io::Result<()> {
        let input = BufReader::new(File::open(file)?);
        match self {
            Self::Gzip => {
                let name = file.file_stem().ok_or_else(|| io::Error::other("the archive has no name"))?;
                io::copy(
                    &mut flate2::read::MultiGzDecoder::new(input),
                    &mut File::create(folder.join(name))?,
                )?;
                Ok(())
            }
            Self::Tar(Compression::Bzip2) => unpack_tar(bzip2::bufread::MultiBzDecoder::new(input), folder),
            Self::Tar(Compression::Gzip) => unpack_tar(flate2::read::MultiGzDecoder::new(input), folder),
            Self::Tar(Compression::None) => unpack_tar(input, folder),
            Self::Tar(Compression::Xz) => unpack_tar(lzma_rust2::XzReader::new(input, true), folder),
            Self::Zip => unpack_zip(input, folder),
        }
    }
}

fn unpack_tar(input: impl Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(input);
    archive.set_preserve_permissions(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Also refuses to write through a link that leads out of the folder.
        if !entry.unpack_in(folder)? {
            return Err(leads_out(&String::from_utf8_lossy(&entry.path_bytes())));
        }
    }
    Ok(())
}

fn unpack_zip(input: BufReader<File>, folder: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(input)?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        if entry.enclosed_name().is_none() {
            return Err(leads_out(&entry.name()?));
        }
    }
    Ok(archive.extract(folder)?)
}

fn leads_out(entry: &str) -> io::Error {
    io::Error::other(format!("its entry '{entry}' leads out of the sandbox"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A tar file with these entries. The names go in unchecked, as an attacker would have it.
    fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpack(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Result<(), String>) {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = folder.path().join("sandbox");
        std::fs::create_dir(&sandbox).unwrap();
        let file = sandbox.join(name);
        std::fs::write(&file, bytes).unwrap();
        let result = Archive::of(name).unwrap().unpack(&file, &sandbox).map_err(|error| error.to_string());
        (folder, result)
    }

    #[test]
    fn knows_archives_by_their_names() {
        assert_eq!(Archive::of("a.tar.gz"), Some(Archive::Tar(Compression::Gzip)));
        assert_eq!(Archive::of("a.gz"), Some(Archive::Gzip));
        assert_eq!(Archive::of("a.zip"), Some(Archive::Zip));
        assert_eq!(Archive::of(".zip"), None);
        assert_eq!(Archive::of("script.sh"), None);
    }

    #[test]
    fn unpacks_every_kind() {
        let plain = tar(&[("bin/run", b"content")]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&plain).unwrap();
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
        xz.write_all(&plain).unwrap();
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("bin/run", zip::write::SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        zip.write_all(b"content").unwrap();
        let cases = [
            ("a.tar", plain),
            ("a.tgz", gzip.finish().unwrap()),
            ("a.tar.bz2", bzip2.finish().unwrap()),
            ("a.txz", xz.finish().unwrap()),
            ("a.zip", zip.finish().unwrap().into_inner()),
        ];
        for (name, bytes) in cases {
            let (folder, result) = unpack(name, &bytes);
            assert_eq!(result, Ok(()), "{name}");
            let file = folder.path().join("sandbox/bin/run");
            assert_eq!(std::fs::read(&file).unwrap(), b"content", "{name}");
            let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
            assert_eq!(mode & 0o111, 0o111, "{name} keeps the executable bits");
        }
    }

    #[test]
    fn unpacks_a_single_file() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"content").unwrap();
        let (folder, result) = unpack("data.json.gz", &gzip.finish().unwrap());
        assert_eq!(result, Ok(()));
        assert_eq!(std::fs::read(folder.path().join("sandbox/data.json")).unwrap(), b"content");
    }

    #[test]
    fn an_entry_that_leads_out_is_refused() {
        let (folder, result) = unpack("a.tar", &tar(&[("../outside", b"x")]));
        assert_eq!(result, Err("its entry '../outside' leads out of the sandbox".to_owned()));
        assert!(!folder.path().join("outside").exists());

        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("../outside", zip::write::SimpleFileOptions::default()).unwrap();
        let (folder, result) = unpack("a.zip", &zip.finish().unwrap().into_inner());
        assert_eq!(result, Err("its entry '../outside' leads out of the sandbox".to_owned()));
        assert!(!folder.path().join("outside").exists());
    }

    #[test]
    fn a_link_that_leads_out_is_not_followed() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "out", "..").unwrap();
        let mut file = tar::Header::new_gnu();
        file.set_size(1);
        file.set_mode(0o644);
        builder.append_data(&mut file, "out/outside", &b"x"[..]).unwrap();
        let (folder, result) = unpack("a.tar", &builder.into_inner().unwrap());
        assert!(result.is_err());
        assert!(!folder.path().join("outside").exists());
    }

    #[test]
    fn damaged_archives_are_errors() {
        for name in ["a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip", "a.gz"] {
            assert!(unpack(name, b"not an archive").1.is_err(), "{name}");
        }
    }
}
