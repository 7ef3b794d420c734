//! A program as a file: what Lambda has to have to run it.
//!
//! Owns: reading the architecture and the versions of glibc's symbols from the file itself.
//! Must not know: which function it is.
//! Source: ELF; Amazon Linux 2023 has glibc 2.34. A program that asks for a later symbol ends before its first line.

use std::{fmt, fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use object::{
    Endianness, FileKind,
    elf::{EM_AARCH64, EM_X86_64, FileHeader64},
    read::elf::{FileHeader as _, SectionHeader as _},
};

/// The glibc of Amazon Linux 2023.
const GLIBC_MAX: Glibc = Glibc { major: 2, minor: 34 };

const PREFIX: &str = "GLIBC_";

/// What a Lambda function runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    Arm64,
    X86_64,
}

impl Architecture {
    /// Rust's name of it.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86-64",
        })
    }
}

/// A version of glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glibc {
    major: u32,
    minor: u32,
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Glibc {
    /// Reads `GLIBC_2.34` or `GLIBC_2.3.4`; another library's version is none.
    fn parse(name: &str) -> Option<Self> {
        let mut numbers = name.strip_prefix(PREFIX)?.split('.').map(str::parse);
        Some(Self { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

/// A program that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProgramFile {
    pub(super) architecture: Architecture,
    pub(super) bytes: u64,
    /// The latest version that a symbol is asked for in.
    pub(super) glibc: Glibc,
}

impl ProgramFile {
    /// Reads a program that must be of this architecture.
    pub(super) fn read(path: &Path, wanted: Architecture) -> anyhow::Result<Self> {
        let read = || -> anyhow::Result<Self> {
            let content = fs::read(path)?;
            let (architecture, glibc) = parse(&content)?;
            ensure!(architecture == wanted, "it is for {architecture} and not for {wanted}");
            Ok(Self { architecture, bytes: content.len().try_into()?, glibc })
        };
        read().with_context(|| format!("the program {}", path.display()))
    }

    /// What is wrong with the glibc that it needs.
    pub(super) fn check_glibc(&self) -> Option<String> {
        let is_there = self.glibc <= GLIBC_MAX;
        (!is_there).then(|| format!("it needs glibc {}, and Amazon Linux 2023 has {GLIBC_MAX}", self.glibc))
    }
}

/// The architecture, and the latest version of glibc that a symbol is asked for in.
fn parse(content: &[u8]) -> anyhow::Result<(Architecture, Glibc)> {
    ensure!(FileKind::parse(content)? == FileKind::Elf64, "it is no 64-bit ELF file");
    let header = FileHeader64::<Endianness>::parse(content)?;
    let endian = header.endian()?;
    let architecture = match header.e_machine(endian) {
        EM_AARCH64 => Architecture::Arm64,
        EM_X86_64 => Architecture::X86_64,
        other => bail!("ELF machine {other} is none of Lambda's"),
    };
    let sections = header.sections(endian, content)?;
    let mut latest = None;
    for section in sections.iter() {
        let Some((mut needs, strings)) = section.gnu_verneed(endian, content)? else { continue };
        let strings = sections.strings(endian, content, strings)?;
        while let Some((_, mut versions)) = needs.next()? {
            while let Some(version) = versions.next()? {
                let name = String::from_utf8_lossy(version.name(endian, strings)?).into_owned();
                latest = latest.max(Glibc::parse(&name));
            }
        }
    }
    Ok((architecture, latest.context("it asks for no versioned symbol of glibc")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(minor: u32) -> ProgramFile {
        ProgramFile { architecture: Architecture::Arm64, bytes: 1, glibc: Glibc { major: 2, minor } }
    }

    #[test]
    fn a_later_glibc_than_amazon_linux_has_is_refused() {
        assert_eq!(needs(34).check_glibc(), None);
        assert!(needs(35).check_glibc().unwrap().contains("glibc 2.35"));
    }

    #[test]
    fn versions_are_numbers_and_not_texts() {
        let parse = |name| Glibc::parse(name).unwrap();
        assert!(parse("GLIBC_2.4") < parse("GLIBC_2.34") && parse("GLIBC_2.3.4") < parse("GLIBC_2.4"));
        assert_eq!([Glibc::parse("GCC_3.0"), Glibc::parse("GLIBC_PRIVATE")], [None, None]);
    }

    #[test]
    fn a_program_is_read_from_its_file() {
        let own = std::env::current_exe().unwrap();
        let (right, wrong) = match std::env::consts::ARCH {
            "aarch64" => (Architecture::Arm64, Architecture::X86_64),
            _ => (Architecture::X86_64, Architecture::Arm64),
        };
        let file = ProgramFile::read(&own, right).unwrap();
        assert!(file.glibc >= Glibc { major: 2, minor: 2 } && file.bytes > 0, "{file:?}");
        let refused = format!("{:#}", ProgramFile::read(&own, wrong).unwrap_err());
        assert!(refused.contains("and not for"), "{refused}");
        let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(ProgramFile::read(&text, right).is_err());
    }
}
