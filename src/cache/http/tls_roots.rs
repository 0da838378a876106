//! The certificates that servers are checked against.

use std::path::PathBuf;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Where systems keep theirs.
const SYSTEM_CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Those of `SSL_CERT_FILE`, else the system's, else Mozilla's as of the build.
pub(super) fn load_root_certs(told: Option<PathBuf>) -> RootCerts {
    let system = SYSTEM_CA_BUNDLES.iter().map(PathBuf::from);
    let read = |path: PathBuf| {
        let text = fs_err::read(path).ok()?;
        let certificate = |item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        };
        let found: Vec<Certificate<'static>> = parse_pem(&text).filter_map(certificate).collect();
        (!found.is_empty()).then_some(found)
    };
    let found = told.into_iter().chain(system).find_map(read);
    found.map_or(RootCerts::WebPki, |found| RootCerts::new_with_certs(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let there = SYSTEM_CA_BUNDLES.iter().any(|place| std::path::Path::new(place).exists());
        let system = load_root_certs(Some(file.path().to_path_buf()));
        assert_eq!(matches!(system, RootCerts::Specific(_)), there);
    }
}
