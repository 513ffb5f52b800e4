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
    names: Names,
}

/// Who tells the addresses of a host.
#[derive(Debug, Clone)]
enum Names {
    System,
    /// The next of these answers, to whatever question.
    #[cfg(test)]
    Script(Arc<std::sync::Mutex<std::collections::VecDeque<Vec<SocketAddr>>>>),
}

impl Names {
    async fn of(&self, host: &str) -> std::io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, 0)).await?.collect()),
            #[cfg(test)]
            Self::Script(answers) => Ok(answers.lock().ok().and_then(|mut left| left.pop_front()).unwrap_or_default()),
        }
    }
}

impl Guard {
    pub(crate) fn new(trusted: impl IntoIterator<Item = String>) -> Self {
        Self { trusted: Arc::new(trusted.into_iter().collect()), names: Names::System }
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
            let found = guard.names.of(&host).await?;
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

    fn scripted(trusted: &[&str], answers: &[&[&str]]) -> Guard {
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
        let answers = answers.iter().map(|one| one.iter().map(address).collect()).collect();
        let names = Names::Script(Arc::new(std::sync::Mutex::new(answers)));
        Guard { names, ..Guard::new(trusted.iter().map(|host| (*host).to_owned())) }
    }

    #[test]
    fn each_answer_about_a_name_is_checked_anew() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "192.168.0.1",
            "::1",
            "fd00:ec2::254",
            "fe80::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
        ];
        for address in private {
            let guard = scripted(&[], &[&["8.8.8.8"], &[address], &["8.8.8.8", address], &[address, "8.8.8.8"]]);
            let next = || runtime.block_on(guard.resolve("rebinds.example".parse().unwrap())).is_ok();
            let passed = [next(), next(), next(), next()];
            assert_eq!(passed, [true, false, false, false], "{address}");
        }
    }

    #[test]
    fn nothing_connects_to_where_a_name_leads_later() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = |guard: Guard| {
            let options = crate::StoreOptions { retries: 2, ..crate::StoreOptions::default() };
            let options = crate::StoreOptions { read_timeout: std::time::Duration::from_millis(300), ..options };
            let http = super::super::Http::new(&options).unwrap().guarded(guard).unwrap();
            let href = crate::Href::parse(&format!("http://rebinds.example:{port}/a.nc")).unwrap();
            runtime.block_on(http.head(&href, 10)).map(|_| ()).unwrap_err()
        };
        for answer in [&["127.0.0.1"][..], &["8.8.8.8", "127.0.0.1"], &["127.0.0.1", "8.8.8.8"]] {
            let error = asked(scripted(&[], &[answer, answer, answer]));
            let why = format!("{error:?}");
            assert!(why.contains("not public") && matches!(error, crate::Error::Transport { tries: 1, .. }), "{why}");
            assert!(listener.accept().is_err(), "no packet");
        }
        // A host that the user named may be anywhere: this listener would have seen one.
        asked(scripted(&["rebinds.example"], &[&["127.0.0.1"]]));
        assert!(listener.accept().is_ok());
    }

    #[test]
    fn names_are_checked_by_where_they_lead() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = |guard: &Guard| runtime.block_on(guard.resolve("localhost".parse().unwrap())).is_ok();
        assert!(!found(&Guard::new([])) && found(&Guard::new(["localhost".to_owned()])));
    }
}
