use std::fmt::{self, Display};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::variables::Variable;
use crate::http::is_origin;
use ipnet::IpNet;

/// The longest duration, in seconds: a day.
const MAX_SECONDS: u64 = 86_400;

/// The minimum of the bytes of responses, which has room for the longest item: it was sent in a body of at most 1 MiB.
const MIN_RESPONSE_BYTES: u64 = 2 << 20;

/// The maximum number of threads that serve requests.
const MAX_THREADS: usize = 1024;

/// An invalid variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidVariable {
    /// The name of the variable.
    pub variable: &'static str,
    /// The reason. Never holds the value.
    pub message: String,
}

/// All invalid variables of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<InvalidVariable>);

impl fmt::Display for ConfigErrors {
    /// Writes one line per variable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, InvalidVariable { variable, message }) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{variable} {message}; set it in .env or in the environment")?;
        }
        Ok(())
    }
}

/// Reads variables and collects the errors.
pub(super) struct Reader<'l> {
    lookup: &'l dyn Fn(&str) -> Option<String>,
    errors: Vec<InvalidVariable>,
}

impl<'l> Reader<'l> {
    pub(super) fn new(lookup: &'l dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, errors: Vec::new() }
    }

    /// Returns the value, or all errors.
    pub(super) fn finish<T>(&mut self, value: T) -> Result<T, ConfigErrors> {
        let errors = std::mem::take(&mut self.errors);
        if errors.is_empty() { Ok(value) } else { Err(ConfigErrors(errors)) }
    }

    pub(super) fn error(&mut self, variable: Variable, message: impl Into<String>) {
        self.errors.push(InvalidVariable { variable: variable.name, message: message.into() });
    }

    /// Returns the text of a variable, if it is set to more than white space.
    pub(super) fn given(&self, variable: Variable) -> Option<String> {
        let value = (self.lookup)(variable.name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Returns the text of a variable, or its default.
    pub(super) fn text(&self, variable: Variable) -> String {
        self.given(variable).unwrap_or_else(|| variable.default.to_owned())
    }

    /// Parses a variable. An invalid one is reported and replaced by the default.
    fn parse<T>(&mut self, variable: Variable, parse: impl Fn(&str) -> Option<T>, expected: &str) -> T {
        if let Some(text) = self.given(variable) {
            if let Some(value) = parse(&text) {
                return value;
            }
            self.error(variable, format!("must be {expected}"));
        }
        parse(variable.default).expect("the default of every variable is valid")
    }

    pub(super) fn boolean(&mut self, variable: Variable) -> bool {
        self.parse(variable, parse_boolean, "true or false, or on or off")
    }

    /// Parses whether development tokens are accepted. Anyone who reaches the server can use them.
    pub(super) fn dev_auth(&mut self, variable: Variable, host: IpAddr, is_production: bool) -> bool {
        let is_insecure = self.given(variable).is_some_and(|text| text.eq_ignore_ascii_case("insecure"));
        if !is_insecure && !self.parse(variable, parse_boolean, "true, false or insecure") {
            return false;
        }
        if is_production {
            self.error(variable, "must be false in production: anyone could sign in as administrator");
        } else if !is_insecure && !host.to_canonical().is_loopback() {
            let message = format!(
                "must not be true with HOST={host}: anyone who reaches this address could sign in as administrator; \
                 set HOST=127.0.0.1, or ALLOW_DEV_AUTH=insecure to accept that"
            );
            self.error(variable, message);
        }
        true
    }

    pub(super) fn choice<T: ValueEnum>(&mut self, variable: Variable) -> T {
        let names = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<_> = names.map(|value| value.get_name().to_owned()).collect();
        let expected = format!("one of {}", names.join(", "));
        self.parse(variable, |text| T::from_str(text, true).ok(), &expected)
    }

    fn number<T: FromStr + PartialOrd>(
        &mut self,
        variable: Variable,
        range: RangeInclusive<T>,
        expected: &str,
    ) -> T {
        self.parse(variable, |text| text.parse().ok().filter(|n| range.contains(n)), expected)
    }

    pub(super) fn seconds(&mut self, variable: Variable, min: u64) -> Duration {
        let expected = format!("a whole number of seconds, from {min} to {MAX_SECONDS}");
        Duration::from_secs(self.number(variable, min..=MAX_SECONDS, &expected))
    }

    /// Parses a list of origins separated by commas.
    pub(super) fn origins(&mut self, variable: Variable) -> Vec<String> {
        let origins = self.list(variable);
        if !origins.iter().all(|origin| is_origin(origin)) {
            self.error(variable, "must be origins, such as https://preview.example.com, separated by commas");
        }
        origins
    }

    /// Parses a number of bytes that has room for responses.
    pub(super) fn response_bytes(&mut self, variable: Variable) -> u64 {
        let expected = format!("a whole number of bytes, {MIN_RESPONSE_BYTES} or more");
        self.number(variable, MIN_RESPONSE_BYTES..=u64::MAX, &expected)
    }

    /// Parses a number of bytes; zero is allowed.
    pub(super) fn bytes(&mut self, variable: Variable) -> u64 {
        self.number(variable, 0..=u64::MAX, "a whole number of bytes, such as 134217728; 0 for none")
    }

    pub(super) fn count<T: FromStr + PartialOrd + Display>(
        &mut self,
        variable: Variable,
        min: T,
        max: T,
    ) -> T {
        let expected = format!("a whole number, {min} or more");
        self.number(variable, min..=max, &expected)
    }

    pub(super) fn worker_threads(&mut self, variable: Variable) -> Option<usize> {
        let given = self.given(variable)?;
        let parsed = given.parse().ok().filter(|n| (1..=MAX_THREADS).contains(n));
        if parsed.is_none() {
            self.error(variable, format!("must be a whole number, from 1 to {MAX_THREADS}"));
        }
        parsed
    }

    pub(super) fn port(&mut self, variable: Variable) -> u16 {
        self.number(variable, 0..=u16::MAX, "a port: a whole number from 0 to 65535")
    }

    pub(super) fn address(&mut self, variable: Variable) -> IpAddr {
        let parse =
            |text: &str| if text == "localhost" { Some([127, 0, 0, 1].into()) } else { text.parse().ok() };
        self.parse(variable, parse, "an IP address, such as 127.0.0.1 or 0.0.0.0")
    }

    pub(super) fn log_filter(&mut self, variable: Variable) -> String {
        let parse = |text: &str| EnvFilter::try_new(text).is_ok().then(|| text.to_owned());
        self.parse(variable, parse, "a log filter, such as info or warn,field_notes=debug")
    }

    /// Parses a list separated by commas.
    pub(super) fn list(&self, variable: Variable) -> Vec<String> {
        let text = self.text(variable);
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn networks(&mut self, variable: Variable) -> Vec<IpNet> {
        let words = self.list(variable);
        let networks: Vec<_> = words.iter().filter_map(|word| parse_network(word)).collect();
        if networks.len() < words.len() {
            self.error(variable, "must be addresses or networks, such as 10.0.0.0/8, separated by commas");
        }
        networks
    }

    /// Parses an HTTP URL that paths are appended to, and removes its trailing slash.
    pub(super) fn base_url(&mut self, variable: Variable) -> String {
        let parse = |text: &str| {
            let url = url::Url::parse(text).ok()?;
            let is_plain = url.query().is_none() && url.fragment().is_none() && url.password().is_none();
            let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
            (is_plain && is_http).then(|| text.trim_end_matches('/').to_owned())
        };
        self.parse(variable, parse, "a URL, such as https://www.googleapis.com")
    }

    pub(super) fn required_email(&mut self, variable: Variable) -> String {
        let Some(email) = self.given(variable) else {
            self.error(variable, "is required: the e-mail address of the administrator");
            return String::new();
        };
        if !is_plausible_email(&email) {
            self.error(variable, "must be an e-mail address, such as admin@example.com");
        }
        email
    }

    pub(super) fn emails(&mut self, variable: Variable) -> Vec<String> {
        let emails = self.list(variable);
        if !emails.iter().all(|email| is_plausible_email(email)) {
            self.error(variable, "must be e-mail addresses, separated by commas");
        }
        emails
    }
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Requires a local part, one `@`, and a domain of at least two labels.
fn is_plausible_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let are_labels_valid = domain
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    !local.is_empty()
        && domain.contains('.')
        && are_labels_valid
        && text.len() <= 254
        && !local.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '<' | '>'))
}

/// Parses a network (`10.0.0.0/8`) or a single address.
fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| Some(text.parse::<std::net::IpAddr>().ok()?.into()))
}
