//! A folder to work in, archives made and unpacked by their libraries, and runs of the program.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Must never be seen in any output.
pub(super) const SECRET: &str = "DeadBeef4242x";

/// A line that holds the secret, and what it becomes.
pub(super) fn secret_line() -> String {
    format!("login ok password={SECRET} from 10.0.0.7\n")
}
pub(super) const CLEAN_LINE: &str = "login ok password=[REDACTED:password] from 10.0.0.7\n";

/// A log with harmless lines around a secret.
pub(super) fn log(name: &str) -> Vec<u8> {
    format!("first line of {name}\n{}last line of {name}\n", secret_line()).into_bytes()
}

/// The same, scrubbed.
pub(super) fn clean_log(name: &str) -> Vec<u8> {
    format!("first line of {name}\n{CLEAN_LINE}last line of {name}\n").into_bytes()
}

/// What a run gave.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

pub(super) struct Stage(pub(super) tempfile::TempDir);

impl Stage {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("directory"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(&path, bytes).expect("write");
        path
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
        command.arg("files").args(args).current_dir(self.0.path());
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().expect("start");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        for shown in [&ran.out, &ran.err] {
            assert!(!shown.contains(SECRET), "{args:?} shows the secret: {shown}");
        }
        ran
    }

    /// A run that must be done; its summary.
    pub(super) fn done(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{args:?}: {}", ran.out);
        ran.out
    }

    /// What is in the folder itself, by name.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(super) fn unpacked(&self, name: &str) -> Tree {
        unpacked(&self.path(name))
    }
}

/// Modes and contents by name; of archives, what is in them.
pub(super) type Tree = BTreeMap<String, (u32, Vec<u8>)>;

pub(super) fn unpacked(path: &Path) -> Tree {
    let mut tree = Tree::new();
    walk(path, "", &mut tree);
    tree
}

fn walk(path: &Path, name: &str, tree: &mut Tree) {
    let about = std::fs::symlink_metadata(path).expect("metadata");
    let mode = about.permissions().mode() & 0o777;
    if about.is_symlink() {
        let target = std::fs::read_link(path).expect("link");
        tree.insert(name.to_owned(), (0, target.to_string_lossy().into_owned().into_bytes()));
    } else if about.is_dir() {
        tree.insert(format!("{name}/"), (mode, Vec::new()));
        for entry in std::fs::read_dir(path).expect("folder") {
            let entry = entry.expect("entry");
            let own = entry.file_name().to_string_lossy().into_owned();
            walk(&entry.path(), &if name.is_empty() { own } else { format!("{name}/{own}") }, tree);
        }
    } else {
        unpack(name, mode, std::fs::read(path).expect("file"), tree);
    }
}

/// Unpacks what is packed, by its first bytes.
pub(super) fn unpack(name: &str, mode: u32, bytes: Vec<u8>, tree: &mut Tree) {
    if bytes.starts_with(b"\x1F\x8B") {
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("gzip");
        unpack(&format!("{name}!"), mode, text, tree);
    } else if bytes.starts_with(b"\x28\xB5\x2F\xFD") {
        unpack(&format!("{name}!"), mode, unzstd(&bytes), tree);
    } else if bytes.starts_with(b"PK") {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("zip");
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).expect("entry");
            let mode = file.unix_mode().unwrap_or_default() & 0o777;
            let inner = format!("{name}!{}", file.name().expect("name"));
            let mut text = Vec::new();
            file.read_to_end(&mut text).expect("data");
            unpack(&inner, mode, text, tree);
        }
    } else if bytes.get(257..262) == Some(b"ustar") {
        for entry in tar::Archive::new(&bytes[..]).entries().expect("tar") {
            let mut entry = entry.expect("entry");
            let inner = format!("{name}!{}", String::from_utf8_lossy(&entry.path_bytes()));
            let mode = entry.header().mode().expect("mode");
            let mut text = Vec::new();
            entry.read_to_end(&mut text).expect("data");
            if let Some(target) = entry.link_name_bytes() {
                text = [b"-> ", &*target].concat();
            }
            unpack(&inner, mode, text, tree);
        }
    } else {
        assert!(tree.insert(name.to_owned(), (mode, bytes)).is_none(), "{name} twice");
    }
}

fn unzstd(mut bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    while !bytes.is_empty() {
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(bytes).expect("zstd");
        decoder.read_to_end(&mut text).expect("zstd");
        bytes = decoder.into_inner();
    }
    text
}

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

pub(super) fn zst(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

pub(super) fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = header(bytes.len());
        builder.append_data(&mut header, name, *bytes).expect("tar");
    }
    builder.into_inner().expect("tar")
}

pub(super) fn header(size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o640);
    header.set_uid(1000);
    header.set_gid(1000);
    header.set_mtime(1_700_000_000);
    header.set_size(size as u64);
    header
}

pub(super) fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o640);
        writer.start_file(*name, options).expect("zip");
        writer.write_all(bytes).expect("zip");
    }
    writer.finish().expect("zip").into_inner()
}
