//! Certificates of a private authority, made by the `openssl` program.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A private authority; its files go when it is dropped.
pub struct Authority {
    folder: TempDir,
}

/// A certificate that an authority has signed, and its key, as PEM files.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Makes one.
    pub fn make() -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let words =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ca.key -out ca.pem";
        authority.openssl(words, &["-subj", "/CN=Luminate's test authority"]);
        authority
    }

    /// The PEM file of the authority's own certificate.
    pub fn file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Makes a server's certificate for this host name.
    pub fn certificate_for(&self, host: &str) -> Certificate {
        let name = |ending: &str| format!("{host}.{ending}");
        let (key, request, certificate, rules) = (name("key"), name("csr"), name("pem"), name("rules"));
        let text = format!("subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(self.path(&rules), text).expect("the rules are written");
        let words = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        let subject = format!("/CN={host}");
        self.openssl(words, &["-keyout", &key, "-out", &request, "-subj", &subject]);
        let words = "x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2";
        self.openssl(words, &["-in", &request, "-extfile", &rules, "-out", &certificate]);
        Certificate { certificate: self.path(&certificate), key: self.path(&key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join(name)
    }

    /// Runs the program in the authority's folder; it must succeed.
    fn openssl(&self, words: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        let output = command.args(words.split(' ')).args(more).current_dir(self.folder.path()).output();
        let output = output.expect("openssl is missing: install it, on Debian with `apt-get install openssl`");
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
