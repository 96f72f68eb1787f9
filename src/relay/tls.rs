//! TLS, from files: certificates of the listeners, of clients, and of the way to an upstream. Files are read again when
//! they change; what is wrong with them then leaves the old ones in use.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::settings::{ClientTls, ServerTls};

/// Why there is no TLS with these files.
#[derive(Debug)]
pub struct BadTls {
    file: Option<PathBuf>,
    why: String,
}

impl fmt::Display for BadTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl std::error::Error for BadTls {}

fn bad(file: &Path, why: impl fmt::Display) -> BadTls {
    BadTls { file: Some(file.to_owned()), why: why.to_string() }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let all: Vec<_> = all.map_err(|error| bad(file, pem(&error)))?;
    if all.is_empty() {
        return Err(bad(file, "has no certificate; write it in PEM"));
    }
    Ok(all)
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, BadTls> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| bad(file, pem(&error)))
}

/// What is wrong with a file of PEM, without what is in it.
fn pem(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => format!("cannot be read: {error}"),
        Error::NoItemsFound => "has no private key; write it in PEM".to_owned(),
        _ => "is no PEM".to_owned(),
    }
}

fn roots(file: &Path) -> Result<Arc<RootCertStore>, BadTls> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| bad(file, error))?;
    }
    Ok(Arc::new(roots))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a listener does with connections.
fn server(files: &ServerTls, protocols: &[&str]) -> Result<Arc<ServerConfig>, BadTls> {
    let ServerTls { cert, key: key_file, client_ca } = files;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(cert, error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(file)?, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| bad(file, error))?)
        }
    };
    let config = builder.with_single_cert(certificates(cert)?, key(key_file)?);
    let mut config = config.map_err(|error| bad(cert, error))?;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// What a connection to an upstream is made with.
pub(super) fn client(files: &ClientTls, protocols: &[&str]) -> Result<Arc<ClientConfig>, BadTls> {
    let ClientTls { ca, identity } = files;
    let nowhere = |why: String| BadTls { file: None, why };
    let roots = match ca {
        Some(file) => roots(file)?,
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(nowhere(
                    "the system has no certificates to trust; add --upstream-ca FILE".to_owned(),
                ));
            }
            Arc::new(roots)
        }
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| nowhere(error.to_string()))?
        .with_webpki_verifier(verifier.map_err(|error| nowhere(error.to_string()))?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key_file)) => builder
            .with_client_auth_cert(certificates(cert)?, key(key_file)?)
            .map_err(|error| bad(cert, error))?,
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// What listeners do with connections, read from files that can be read again; tells connections that are open when other
/// files are in use than those that they were let in by.
#[derive(Debug)]
pub(super) struct Listeners {
    files: Vec<PathBuf>,
    config: Reread<ServerConfig>,
    /// What the files held when they were last used.
    print: Mutex<[u8; 32]>,
    replaced: watch::Sender<()>,
}

impl Listeners {
    pub(super) fn new(told: &ServerTls, protocols: &'static [&'static str]) -> Result<Self, BadTls> {
        let ServerTls { cert, key, client_ca } = told;
        let files: Vec<PathBuf> = [cert, key].into_iter().chain(client_ca).cloned().collect();
        // First: what changes meanwhile is a change.
        let print = Mutex::new(print(&files));
        let told = told.clone();
        let config = Reread::new(move || server(&told, protocols))?;
        Ok(Self { files, config, print, replaced: watch::Sender::new(()) })
    }

    /// What a connection is let in by, and who tells it when something else is used.
    pub(super) fn get(&self) -> (Arc<ServerConfig>, Replaced) {
        let replaced = Replaced(Some(self.replaced.subscribe()));
        (self.config.get(), replaced)
    }

    /// Reads the files again. What is wrong with them leaves the old ones in use.
    pub(super) fn reread(&self) -> Result<(), BadTls> {
        let print = print(&self.files);
        self.config.reread()?;
        let old = std::mem::replace(&mut *self.print.lock().unwrap_or_else(PoisonError::into_inner), print);
        if old != print {
            self.replaced.send_replace(());
        }
        Ok(())
    }
}

/// Tells when a connection was let in by what is not used any more.
#[derive(Debug)]
pub(super) struct Replaced(Option<watch::Receiver<()>>);

impl Replaced {
    /// Of a connection that no file let in.
    pub(super) fn never() -> Self {
        Self(None)
    }

    /// Waits for it.
    pub(super) async fn wait(mut self) {
        let told = match &mut self.0 {
            Some(replaced) => replaced.changed().await.is_ok(),
            None => false,
        };
        if !told {
            std::future::pending().await
        }
    }
}

/// What files hold, in 32 bytes; one that cannot be read holds nothing.
fn print(files: &[PathBuf]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for file in files {
        let bytes = Zeroizing::new(std::fs::read(file).unwrap_or_default());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes[..]);
    }
    hash.finalize().into()
}

/// Something that is read from files, and can be read again.
pub(super) struct Reread<T> {
    read: Box<dyn Fn() -> Result<Arc<T>, BadTls> + Send + Sync>,
    current: RwLock<Arc<T>>,
}

impl<T> fmt::Debug for Reread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reread").finish_non_exhaustive()
    }
}

impl<T> Reread<T> {
    pub(super) fn new(
        read: impl Fn() -> Result<Arc<T>, BadTls> + Send + Sync + 'static,
    ) -> Result<Self, BadTls> {
        let current = RwLock::new(read()?);
        Ok(Self { read: Box::new(read), current })
    }

    pub(super) fn get(&self) -> Arc<T> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again. What is wrong with them leaves the old ones in use.
    pub(super) fn reread(&self) -> Result<(), BadTls> {
        let new = (self.read)()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}
