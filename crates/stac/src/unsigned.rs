//! Hrefs as they are saved: without what ends, and is a secret.

use outcrop_store::Href;

/// Query parameters that are a signature or belong to one.
const SIGNING: [&str; 14] =
    ["sig", "se", "sp", "sv", "sr", "st", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv", "token"];

/// An href as it is saved: without user, password and signature, which end, and are secrets.
pub fn unsigned(href: &Href) -> String {
    if !href.as_str().contains(['?', '@']) {
        return href.as_str().to_owned();
    }
    let Some(mut url) = href.to_url() else { return href.as_str().to_owned() };
    let has_login = !url.username().is_empty() || url.password().is_some();
    // Neither can fail for URLs of http.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let pairs: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    let has_sas = pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("sig"));
    let is_signing = |name: &str| {
        let name = name.to_ascii_lowercase();
        let known =
            ["signature", "key-pair-id", "policy", "expires", "awsaccesskeyid", "access_token", "googleaccessid"];
        name.starts_with("x-amz-")
            || name.starts_with("x-goog-")
            || known.contains(&name.as_str())
            || has_sas && SIGNING.contains(&name.as_str())
    };
    let is_signed = pairs.iter().any(|(name, _)| is_signing(name));
    if !is_signed && !has_login {
        return href.as_str().to_owned();
    }
    if is_signed {
        let kept: Vec<&(String, String)> = pairs.iter().filter(|(name, _)| !is_signing(name)).collect();
        if kept.is_empty() {
            url.set_query(None);
        } else {
            url.query_pairs_mut().clear().extend_pairs(kept);
        }
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_not_saved() {
        let saved = |text: &str| unsigned(&Href::parse(text).unwrap());
        for (href, want) in [
            ("https://me:pw@h/a.nc?sv=1&sig=S&sp=r&id=7", "https://h/a.nc?id=7"),
            ("https://h/a.nc?X-Amz-Signature=S&X-Amz-Date=1", "https://h/a.nc"),
            ("https://h/a.nc?Expires=1&Signature=S&Key-Pair-Id=K", "https://h/a.nc"),
            ("https://h/a.nc?st=2000&format=nc", "https://h/a.nc?st=2000&format=nc"),
            ("s3://b/a?sig=S", "s3://b/a?sig=S"),
        ] {
            assert_eq!(saved(href), want);
        }
    }
}
