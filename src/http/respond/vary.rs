use axum::http::{HeaderMap, HeaderValue, header};

/// Adds the names of request headers to `Vary`, without duplicates.
pub(crate) fn add(headers: &mut HeaderMap, names: &[&str]) {
    let values = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    let mut all: Vec<&str> = values.flat_map(|text| text.split(',')).map(str::trim).collect();
    let present = all.len();
    for name in names {
        if !all.iter().any(|present| *present == "*" || present.eq_ignore_ascii_case(name)) {
            all.push(name);
        }
    }
    if all.len() > present {
        let value = HeaderValue::from_str(&all.join(", ")).expect("names of headers are ASCII");
        headers.insert(header::VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_added_once() {
        let mut headers = HeaderMap::new();
        add(&mut headers, &["Authorization", "Accept"]);
        add(&mut headers, &["Origin", "accept"]);
        assert_eq!(headers[header::VARY], "Authorization, Accept, Origin");
        let mut all = HeaderMap::from_iter([(header::VARY, HeaderValue::from_static("*"))]);
        add(&mut all, &["Origin"]);
        assert_eq!(all[header::VARY], "*");
    }
}
