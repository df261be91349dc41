use super::Error;

/// Returns the token of an `Authorization` header: the scheme `Bearer` in any case, white space, one token.
pub(super) fn bearer_token(header: Option<&[u8]>) -> Result<&str, Error> {
    let text = std::str::from_utf8(header.ok_or(Error::Missing)?).map_err(|_| Error::Malformed)?;
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(token), None) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(Error::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_must_be_bearer_with_one_token() {
        for good in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer\tabc "] {
            assert_eq!(bearer_token(Some(good.as_bytes())).unwrap(), "abc", "{good:?}");
        }
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer abc def", "Bearerabc"] {
            assert!(matches!(bearer_token(Some(bad.as_bytes())), Err(Error::Malformed)), "{bad:?}");
        }
        assert!(matches!(bearer_token(Some(b"Bearer \xff")), Err(Error::Malformed)));
        assert!(matches!(bearer_token(None), Err(Error::Missing)));
    }
}
