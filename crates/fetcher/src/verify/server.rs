//! Digests that servers tell in headers.
//!
//! `Digest` (RFC 3230, and dCache's adler32), `Repr-Digest` and `Content-Digest` (RFC 9530), `Content-MD5`, `x-goog-hash`
//! of Google Cloud Storage, `x-amz-checksum-*` and the ETag of S3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::multihash::hex;
use super::{Algorithm, Checksum};

/// A digest that a server tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) checksum: Checksum,
    /// Another value means damage. An ETag may look like a digest and be none.
    pub(crate) is_binding: bool,
}

/// The digests of a whole object in the headers of its answer, the strongest first.
pub(crate) fn promises(headers: &[(String, String)]) -> Vec<Promise> {
    let mut found = Vec::new();
    for (name, value) in headers {
        match name.as_str() {
            "content-md5" => found.extend(encoded(Algorithm::Md5, value)),
            "digest" | "repr-digest" | "content-digest" | "x-goog-hash" => {
                let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
                found.extend(pairs.filter_map(|(key, value)| encoded(by_name(key.trim())?, value)));
            }
            _ => {
                let key = name.strip_prefix("x-amz-checksum-").and_then(by_name);
                // That of a number of parts ends with their number: it is not of the whole.
                found.extend(key.filter(|_| !value.contains('-')).and_then(|algorithm| encoded(algorithm, value)));
            }
        }
    }
    let mut promises: Vec<Promise> = found.into_iter().map(|checksum| Promise { checksum, is_binding: true }).collect();
    promises.sort_by_key(|promise| std::cmp::Reverse(promise.checksum.algorithm.strength()));
    promises.extend(etag(headers).map(|checksum| Promise { checksum, is_binding: false }));
    promises
}

fn by_name(name: &str) -> Option<Algorithm> {
    Some(match name.to_ascii_lowercase().as_str() {
        "md5" => Algorithm::Md5,
        "sha" | "sha1" | "sha-1" => Algorithm::Sha1,
        "sha-256" | "sha256" => Algorithm::Sha2(256),
        "sha-512" | "sha512" => Algorithm::Sha2(512),
        "adler32" | "adler" => Algorithm::Adler32,
        "crc32" => Algorithm::Crc32,
        "crc32c" => Algorithm::Crc32c,
        "crc64nvme" => Algorithm::Crc64Nvme,
        _ => return None,
    })
}

/// A digest in base64, perhaps between colons, or in hex as some servers write it.
fn encoded(algorithm: Algorithm, text: &str) -> Option<Checksum> {
    let text = text.trim().trim_matches(['"', ':']);
    let size = algorithm.size();
    // Adler-32 may lack its leading zeros.
    let padded = || (algorithm == Algorithm::Adler32 && text.len() < 2 * size).then(|| format!("{text:0>8}"));
    let whole = |digest: &Vec<u8>| digest.len() == size;
    let digest = hex(text).filter(whole).or_else(|| STANDARD.decode(text).ok().filter(whole));
    let digest = digest.or_else(|| hex(&padded()?)).filter(whole);
    digest.map(|digest| Checksum { algorithm, digest })
}

/// The ETag of S3 is the MD5 of an object that was put in one piece and not encrypted with another key.
fn etag(headers: &[(String, String)]) -> Option<Checksum> {
    let get = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
    let is_other = get("x-amz-server-side-encryption").is_some_and(|kind| kind.starts_with("aws:kms"));
    let tag = get("etag")?.strip_prefix('"')?.strip_suffix('"')?;
    let digest = hex(tag).filter(|digest| digest.len() == 16 && !is_other)?;
    Some(Checksum { algorithm: Algorithm::Md5, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&str, &str)]) -> Vec<String> {
        let headers: Vec<(String, String)> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        promises(&headers).iter().map(|p| format!("{} {} {}", p.checksum.algorithm, p.checksum, p.is_binding)).collect()
    }

    #[test]
    fn each_server_is_understood() {
        let md5 = "md5 d50110098f6bcd4621d373cade4e832627b4f6 true";
        assert_eq!(told(&[("content-md5", "CY9rzUYh03PK3k6DJie09g==")]), [md5]);
        assert_eq!(
            told(&[("digest", "adler32=045d01c1, md5=CY9rzUYh03PK3k6DJie09g==")]),
            [md5, "adler32 045d01c1 true"]
        );
        assert_eq!(told(&[("digest", "adler32=45d01c1")]), ["adler32 045d01c1 true"]);
        assert_eq!(told(&[("digest", "md5=098f6bcd4621d373cade4e832627b4f6")]), [md5]);
        assert_eq!(
            told(&[("x-goog-hash", "crc32c=hqBywA=="), ("x-goog-hash", "md5=CY9rzUYh03PK3k6DJie09g==")]),
            [md5, "crc32c 86a072c0 true"]
        );
        let sha = "sha2-256 12209f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 true";
        assert_eq!(told(&[("repr-digest", "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:")]), [sha]);
        assert_eq!(told(&[("x-amz-checksum-sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")]), [sha]);
        assert!(told(&[("x-amz-checksum-sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=-3")]).is_empty());
        assert_eq!(
            told(&[("etag", "\"098f6bcd4621d373cade4e832627b4f6\"")]),
            ["md5 d50110098f6bcd4621d373cade4e832627b4f6 false"]
        );
        let kms = ("x-amz-server-side-encryption", "aws:kms");
        assert!(told(&[("etag", "\"098f6bcd4621d373cade4e832627b4f6\""), kms]).is_empty());
        for odd in ["md5=x", "unknown=CY9rzUYh03PK3k6DJie09g==", "md5", "", "adler32=zz", "\"098f\""] {
            assert!(told(&[("digest", odd), ("etag", odd)]).is_empty(), "{odd}");
        }
    }
}
