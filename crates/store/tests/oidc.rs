//! Tokens of OpenID Connect: of a client, and of a person who confirms a code.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use outcrop_store::{Environment, Href, Store, StoreOptions, Voice};
use outcrop_testkit::{Answer, Asked, Service};
use serde_json::json;

/// A provider whose tokens end after a second (they count as ended a minute before), and the data that they open.
fn provider(pending: usize) -> Service {
    let (tokens, polls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Service::start(move |asked: &Asked| {
        let host =
            asked.headers.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
        let base = format!("http://{}", host.unwrap_or_default());
        let has = |text: &str| asked.body.split('&').any(|pair| pair == text);
        let grant = |renewal: bool| {
            let token = format!("token-{}", tokens.fetch_add(1, Ordering::SeqCst) + 1);
            let mut answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": 61});
            if renewal {
                answer["refresh_token"] = "renewal".into();
            }
            Answer::json(answer.to_string())
        };
        let refuse = |code: &str| Answer { status: 400, ..Answer::json(json!({"error": code}).to_string()) };
        match asked.target.as_str() {
            "/.well-known/openid-configuration" => {
                let all = json!({"token_endpoint": format!("{base}/token"), "device_authorization_endpoint": format!("{base}/device")});
                Answer::json(all.to_string())
            }
            "/device" if has("client_id=me") && has("scope=openid") => {
                let all = json!({"device_code": "dev", "user_code": "ABCD", "verification_uri": format!("{base}/confirm"), "interval": 1});
                Answer::json(all.to_string())
            }
            "/token" if has("grant_type=client_credentials") => {
                if has("client_id=me") && has("client_secret=hush") {
                    grant(true)
                } else {
                    refuse("invalid_client")
                }
            }
            "/token" if has("grant_type=refresh_token") => {
                if has("refresh_token=renewal") {
                    grant(true)
                } else {
                    refuse("invalid_grant")
                }
            }
            "/token" if has("device_code=dev") => {
                if polls.fetch_add(1, Ordering::SeqCst) < pending {
                    refuse("authorization_pending")
                } else {
                    grant(true)
                }
            }
            "/data" => {
                let given = asked
                    .headers
                    .iter()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("authorization: ").map(str::to_owned));
                let want = format!("bearer token-{}", tokens.load(Ordering::SeqCst));
                if given == Some(want) {
                    Answer { body: b"data".to_vec(), ..Answer::status(200) }
                } else {
                    Answer::status(401)
                }
            }
            _ => Answer::status(404),
        }
    })
}

fn store(folder: &Path, base: &str, oidc: &str, voice: Voice) -> (Store, tokio::runtime::Runtime) {
    let config = folder.join("config.toml");
    let text = format!("[[host]]\norigin = \"{base}\"\n[host.oidc]\nissuer = \"{base}/\"\nclient-id = \"me\"\n{oidc}");
    std::fs::write(&config, text).unwrap();
    let pairs = [
        ("OUTCROP_CONFIG", config.display().to_string()),
        ("OUTCROP_STATE", folder.join("state").display().to_string()),
        ("SECRET", "hush".into()),
        ("WRONG", "other".into()),
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let environment = pairs.into_iter().collect::<Environment>();
    let options = StoreOptions { environment, voice, retries: 0, ..StoreOptions::default() };
    (Store::new(options, runtime.handle().clone()).unwrap(), runtime)
}

fn tokens(service: &Service) -> usize {
    service.asked().iter().filter(|asked| asked.target == "/token").count()
}

#[test]
fn the_token_of_a_client_is_renewed_before_it_ends() {
    let (service, folder) = (provider(0), tempfile::tempdir().unwrap());
    let href = Href::parse(&format!("{}/data", service.base())).unwrap();
    let (store, _runtime) = store(folder.path(), service.base(), "client-secret-env = \"SECRET\"", Voice::default());
    for _ in 0..3 {
        assert_eq!(&store.wait(store.get(&href)).unwrap()[..], b"data");
    }
    assert_eq!(tokens(&service), 1, "one for all requests of its time");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    store.wait(store.get(&href)).unwrap();
    assert_eq!(tokens(&service), 2);
    assert!(!folder.path().join("state").exists(), "nothing of a client is kept");
}

#[test]
fn a_client_that_is_refused_is_told_so_without_its_secret() {
    let (service, folder) = (provider(0), tempfile::tempdir().unwrap());
    let href = Href::parse(&format!("{}/data", service.base())).unwrap();
    let (store, _runtime) = store(folder.path(), service.base(), "client-secret-env = \"WRONG\"", Voice::default());
    let error = store.wait(store.get(&href)).unwrap_err().to_string();
    assert!(error.contains("it refuses (invalid_client)") && !error.contains("other"), "{error}");
}

#[test]
fn a_person_is_asked_once() {
    let (service, folder) = (provider(1), tempfile::tempdir().unwrap());
    let href = Href::parse(&format!("{}/data", service.base())).unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let voice = || {
        let said = said.clone();
        Voice::new(move |text| said.lock().unwrap().push(text.to_owned()))
    };
    for _ in 0..2 {
        let (store, _runtime) = store(folder.path(), service.base(), "scope = \"openid\"", voice());
        assert_eq!(&store.wait(store.get(&href)).unwrap()[..], b"data");
    }
    let said = said.lock().unwrap();
    assert!(said.len() == 1 && said[0].contains("/confirm") && said[0].contains("ABCD"), "{said:?}");
    let kept: Vec<_> = std::fs::read_dir(folder.path().join("state/oidc")).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
