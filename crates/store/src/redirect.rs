//! Which redirects are followed: at most ten hops, only to http and https, never from https to http.

use url::Url;

/// Most redirects of one request.
const MOST: usize = 10;

/// Why a redirect is not followed; `previous` begins with the URL that was asked for.
pub(crate) fn refusal(next: &Url, previous: &[Url]) -> Option<&'static str> {
    match next.scheme() {
        "http" if previous.iter().any(|url| url.scheme() == "https") => {
            return Some("a redirect from https to http is refused");
        }
        "http" | "https" => {}
        _ => return Some("a redirect to another scheme than http(s) is refused"),
    }
    (previous.len() > MOST).then_some("more than 10 redirects")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_secure_and_end() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (http, https) = (url("http://h/a"), url("https://h/a"));
        assert_eq!(refusal(&https, std::slice::from_ref(&http)), None);
        assert!(refusal(&http, std::slice::from_ref(&https)).unwrap().contains("from https to http"));
        assert!(refusal(&http, &[http.clone(), https, http.clone()]).is_some(), "also over a detour");
        for odd in ["file:///etc/passwd", "gopher://h/", "data:,x"] {
            assert!(refusal(&url(odd), std::slice::from_ref(&http)).is_some(), "{odd}");
        }
        assert_eq!(refusal(&http, &vec![http.clone(); MOST]), None);
        assert!(refusal(&http, &vec![http.clone(); MOST + 1]).is_some());
    }
}
