use std::fmt::Display;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::{ConfigErrors, Problem};
use crate::http::Network;

/// No duration is longer: a day.
const MOST_SECONDS: u64 = 86_400;

/// Reads variables and keeps what is wrong with them.
pub(super) struct Reader<'l> {
    lookup: &'l dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
}

impl<'l> Reader<'l> {
    pub(super) fn new(lookup: &'l dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// The value, or everything that is wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.problems.is_empty() { Ok(value) } else { Err(ConfigErrors(self.problems)) }
    }

    pub(super) fn wrong(&mut self, variable: &'static str, what: impl Into<String>) {
        self.problems.push(Problem { variable, what: what.into() });
    }

    /// The text, if it is set to more than blanks.
    pub(super) fn text(&self, variable: &'static str) -> Option<String> {
        let value = (self.lookup)(variable)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Reads a value that is set, or takes the default.
    fn parse<T>(
        &mut self,
        variable: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
        expected: &str,
    ) -> T {
        let Some(text) = self.text(variable) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.wrong(variable, format!("has to be {expected}"));
            default
        })
    }

    pub(super) fn truth(&mut self, variable: &'static str, default: bool) -> bool {
        let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        };
        self.parse(variable, default, parse, "true or false")
    }

    pub(super) fn choice<T: Copy>(&mut self, variable: &'static str, default: T, words: &[(&str, T)]) -> T {
        let expected = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let parse = |text: &str| {
            let named = words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
            named.map(|(_, value)| *value)
        };
        self.parse(variable, default, parse, &format!("one of {expected}"))
    }

    pub(super) fn seconds(&mut self, variable: &'static str, default: u64, least: u64) -> Duration {
        let parse = |text: &str| text.parse().ok().filter(|n| (least..=MOST_SECONDS).contains(n));
        let expected = format!("a whole number of seconds, from {least} to {MOST_SECONDS}");
        Duration::from_secs(self.parse(variable, default, parse, &expected))
    }

    /// Bytes; 0 is none.
    pub(super) fn bytes(&mut self, variable: &'static str, default: u64) -> Option<NonZeroU64> {
        let expected = "a whole number of bytes, such as 134217728; 0 for none";
        NonZeroU64::new(self.parse(variable, default, |text| text.parse().ok(), expected))
    }

    pub(super) fn count<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        variable: &'static str,
        default: T,
        least: T,
    ) -> T {
        let parse = |text: &str| text.parse().ok().filter(|n| *n >= least);
        self.parse(variable, default, parse, &format!("a whole number, {least} or more"))
    }

    pub(super) fn port(&mut self, variable: &'static str, default: u16) -> u16 {
        self.parse(variable, default, |text| text.parse().ok(), "a port: a whole number from 0 to 65535")
    }

    pub(super) fn address(&mut self, variable: &'static str, default: IpAddr) -> IpAddr {
        let parse = |text: &str| {
            if text == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { text.parse().ok() }
        };
        self.parse(variable, default, parse, "an IP address, such as 127.0.0.1 or 0.0.0.0")
    }

    pub(super) fn log_filter(&mut self, variable: &'static str, default: &str) -> String {
        let parse = |text: &str| EnvFilter::try_new(text).is_ok().then(|| text.to_owned());
        self.parse(
            variable,
            default.to_owned(),
            parse,
            "a log filter, such as info or warn,field_notes=debug",
        )
    }

    pub(super) fn required_email(&mut self, variable: &'static str) -> String {
        let Some(email) = self.text(variable) else {
            self.wrong(variable, "is required and not set: the e-mail address of the administrator");
            return String::new();
        };
        if !is_plausible_email(&email) {
            self.wrong(variable, "has to be an e-mail address, such as admin@example.com");
        }
        email
    }

    /// Words between commas.
    pub(super) fn list(&self, variable: &'static str) -> Vec<String> {
        let text = self.text(variable).unwrap_or_default();
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn networks(&mut self, variable: &'static str) -> Vec<Network> {
        let words = self.list(variable);
        let networks: Vec<_> = words.iter().filter_map(|word| word.parse().ok()).collect();
        if networks.len() < words.len() {
            self.wrong(variable, "has to be addresses or networks, such as 10.0.0.0/8, separated by commas");
        }
        networks
    }

    /// An address that paths are added to; comes without a slash at its end.
    pub(super) fn base_address(&mut self, variable: &'static str, default: &str) -> String {
        let parse = |text: &str| {
            let url = url::Url::parse(text).ok()?;
            let plain = url.query().is_none() && url.fragment().is_none() && url.password().is_none();
            let web = matches!(url.scheme(), "http" | "https") && url.has_host();
            (plain && web).then(|| text.trim_end_matches('/').to_owned())
        };
        self.parse(variable, default.to_owned(), parse, "an address, such as https://www.googleapis.com")
    }

    pub(super) fn emails(&mut self, variable: &'static str) -> Vec<String> {
        let emails = self.list(variable);
        if !emails.iter().all(|email| is_plausible_email(email)) {
            self.wrong(variable, "has to be e-mail addresses, separated by commas");
        }
        emails
    }
}

/// One `@` with something before it, and a name with a dot after it.
fn is_plausible_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let labels_fit = domain
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    !local.is_empty()
        && domain.contains('.')
        && labels_fit
        && text.len() <= 254
        && !local.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '<' | '>'))
}
