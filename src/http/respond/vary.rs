use axum::http::{HeaderMap, HeaderValue, header};

/// Adds names of request headers that an answer depends on, once each.
pub(crate) fn add(headers: &mut HeaderMap, names: &[&str]) {
    if names.iter().all(|name| holds(headers, name)) {
        return;
    }
    let held = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    let mut all: Vec<_> = held.flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect();
    for name in names {
        if !all.iter().any(|held| held == "*" || held.eq_ignore_ascii_case(name)) {
            all.push((*name).to_owned());
        }
    }
    if let Ok(value) = HeaderValue::from_str(&all.join(", ")) {
        headers.insert(header::VARY, value);
    }
}

fn holds(headers: &HeaderMap, name: &str) -> bool {
    headers.get(header::VARY).and_then(|value| value.to_str().ok()).is_some_and(|text| {
        text.split(',').any(|held| held.trim() == "*" || held.trim().eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_there_once() {
        let mut headers = HeaderMap::new();
        add(&mut headers, &["Authorization", "Accept"]);
        add(&mut headers, &["Origin", "accept"]);
        assert_eq!(headers[header::VARY], "Authorization, Accept, Origin");
        let mut all = HeaderMap::from_iter([(header::VARY, HeaderValue::from_static("*"))]);
        add(&mut all, &["Origin"]);
        assert_eq!(all[header::VARY], "*");
    }
}
