use std::sync::Arc;

/// Returns the configuration of clients: the roots of Mozilla, and the one provider of cryptography that the program has.
pub(crate) fn client_config() -> rustls::ClientConfig {
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<rustls::RootCertStore>();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports its default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
