//! Connections, with TLS where an address wants it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{ClickHouseConfig, InvalidClickHouseConfig};

const KEEPALIVE: Duration = Duration::from_secs(60);

/// What opens connections, plain and with TLS. Certificates are checked against the authorities of `ca_file`, else against
/// those that browsers trust.
///
/// # Errors
/// [`InvalidClickHouseConfig`] where the file cannot be used.
pub(super) fn connector(config: &ClickHouseConfig) -> Result<HttpsConnector<HttpConnector>, InvalidClickHouseConfig> {
    let roots = match &config.ca_file {
        Some(file) => authorities(file)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let fault = |fault: String| InvalidClickHouseConfig { key: "addresses", fault };
    // The provider is named, so that nothing depends on which one the process has installed.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_keepalive(Some(KEEPALIVE));
    http.set_nodelay(true);
    http.set_connect_timeout(Some(config.connect_timeout.get()));
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http))
}

fn authorities(file: &Path) -> Result<RootCertStore, InvalidClickHouseConfig> {
    let fault = |what: String| InvalidClickHouseConfig { key: "caFile", fault: format!("{}: {what}", file.display()) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| fault(error.to_string()))? {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fault("holds no certificate in PEM form".to_owned()));
    }
    Ok(roots)
}
