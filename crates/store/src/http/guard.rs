//! Addresses that are not public: a catalog of strangers may not lead to them.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A host whose address is not public.
#[derive(Debug)]
pub(super) struct NotPublic(String);

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has an address that is not public, and the catalog that leads to it is of others", self.0)
    }
}

impl std::error::Error for NotPublic {}

/// Lets only public addresses through, but for hosts that the user named.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    trusted: Arc<HashSet<String>>,
}

impl Guard {
    pub(crate) fn new(trusted: impl IntoIterator<Item = String>) -> Self {
        Self { trusted: Arc::new(trusted.into_iter().collect()) }
    }

    /// Checks an address that stands in the URL itself; names are checked when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), NotPublic> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        let host = url.host_str().unwrap_or_default();
        let ok = is_public(address) || self.trusted.contains(host);
        if ok { Ok(()) } else { Err(NotPublic(host.to_owned())) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // One that is not public among them is enough: which one is connected to is not ours to say.
            if !guard.trusted.contains(&host) && found.iter().any(|address| !is_public(address.ip())) {
                return Err(NotPublic(host).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// True for addresses of the public internet (IANA special-purpose registries, 2024).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let part = address.segments();
    let low = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match part {
        // Addresses of version 4 in other clothes: mapped, compatible, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => low(a, b),
        [0x64, 0xff9b, 1, ..] | [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x100, 0, 0, 0, ..] => false,
        // Only these are given out for the internet.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass_in_whatever_form() {
        let guard = Guard::new(["10.0.0.7".to_owned()]);
        let passes = |text: &str| guard.check(&Url::parse(text).unwrap()).is_ok();
        for bad in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://169.254.169.254/",
            "http://10.1.2.3/",
            "http://172.31.0.1/",
            "http://192.168.0.1/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://255.255.255.255/",
            "http://224.0.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:a00:1]/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:db8::1]/",
        ] {
            assert!(!passes(bad), "{bad}");
        }
        for good in ["http://8.8.8.8/", "http://[2606:4700::1111]/", "http://10.0.0.7/", "http://name.org/"] {
            assert!(passes(good), "{good}");
        }
    }

    #[test]
    fn names_are_checked_by_where_they_lead() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = |guard: &Guard| runtime.block_on(guard.resolve("localhost".parse().unwrap())).is_ok();
        assert!(!found(&Guard::new([])) && found(&Guard::new(["localhost".to_owned()])));
    }
}
