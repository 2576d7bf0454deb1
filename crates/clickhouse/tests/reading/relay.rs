//! A way to the server that a test can cut, plain or with TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use luminate_tests::certificates::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Hands connections on to a server until it is cut or dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Relay {
    /// Hands on to the server at this URL as it is.
    pub(crate) async fn plain(server: &str) -> Self {
        Self::start(server, None).await
    }

    /// Speaks TLS with this certificate, and hands on what was said.
    pub(crate) async fn with_tls(server: &str, certificate: &Certificate) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(
            CertificateDer::pem_file_iter(&certificate.certificate).unwrap().map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_file(Path::new(&certificate.key)).unwrap(),
        );
        Self::start(server, Some(TlsAcceptor::from(Arc::new(tls.unwrap())))).await
    }

    async fn start(server: &str, tls: Option<TlsAcceptor>) -> Self {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&connections);
        let listening = tokio::spawn(async move {
            // Connections end with this task.
            let mut running = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let (server, tls) = (server.clone(), tls.clone());
                running.spawn(async move {
                    match tls {
                        None => hand_on(client, &server).await,
                        Some(tls) => {
                            // A client that does not trust the certificate breaks off.
                            if let Ok(client) = tls.accept(client).await {
                                hand_on(client, &server).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections, listening }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Breaks all connections off and takes no more.
    pub(crate) fn cut(&self) {
        self.listening.abort();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn hand_on(mut client: impl AsyncRead + AsyncWrite + Unpin, server: &str) {
    let mut server = TcpStream::connect(server).await.unwrap();
    // Either side may end it at any time.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
