//! What an item says that its assets want of who reads them: logins (extension authentication 1.1, `auth:*`), and who pays
//! (extension storage 1 and 2, `storage:*`). It is told where a server refuses; nothing is sent or paid because of it.

use outcrop_stac::Document;
use serde_json::{Map, Value};

/// Longest text that is taken of an item.
const LONGEST: usize = 200;

/// What the asset wants, in words.
pub(crate) fn wants(item: &Document, key: &str) -> Option<String> {
    let asset = item.asset(key)?;
    let logins = schemes(item, asset, "auth").into_iter().filter_map(|scheme| login(&scheme));
    let pays = schemes(item, asset, "storage").into_iter().filter(|scheme| is_on(scheme, "requester_pays"));
    let old =
        is_on(asset, "storage:requester_pays") || properties(item).is_some_and(|p| is_on(p, "storage:requester_pays"));
    let bill = "that you pay for the transfer (AWS_REQUEST_PAYER=requester)".to_owned();
    let bill = (pays.count() > 0 || old).then_some(bill);
    let all: Vec<String> = logins.chain(bill).collect();
    (!all.is_empty()).then(|| all.join(", or "))
}

fn properties(item: &Document) -> Option<&Map<String, Value>> {
    item.body().get("properties").and_then(Value::as_object)
}

fn is_on(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The schemes that an asset refers to, by name in the item or its properties.
fn schemes(item: &Document, asset: &Map<String, Value>, prefix: &str) -> Vec<Map<String, Value>> {
    let refs = asset.get(&format!("{prefix}:refs")).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let name = format!("{prefix}:schemes");
    let places = [asset.get(&name), properties(item).and_then(|p| p.get(&name)), item.body().get(&name)];
    let find = |of: &Value| {
        let of = of.as_str()?;
        places.iter().flatten().find_map(|schemes| schemes.get(of)?.as_object().cloned())
    };
    refs.iter().filter_map(find).collect()
}

fn login(scheme: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| {
        let text = scheme.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())?;
        // It is shown on a terminal.
        Some(text.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>())
    };
    let kind = text("type")?;
    let what = match (kind.as_str(), text("name")) {
        ("s3", _) => "keys of S3 (AWS_PROFILE, AWS_ACCESS_KEY_ID)".to_owned(),
        ("http", _) => format!("an HTTP login ({}: netrc or [[host]])", text("scheme").unwrap_or("basic".into())),
        ("apiKey", Some(name)) => format!("an API key in `{name}` ([[host]] with header)"),
        ("openIdConnect", _) => match text("openIdConnectUrl") {
            Some(url) => format!("a login with OpenID Connect ([host.oidc], {url})"),
            None => "a login with OpenID Connect ([host.oidc])".to_owned(),
        },
        ("oauth2", _) => "a token of OAuth 2 ([[host]] with token-command, or [host.oidc])".to_owned(),
        ("signedUrl", _) => "signed URLs ([[sign]])".to_owned(),
        (other, _) => format!("`{other}`"),
    };
    Some(match text("description") {
        Some(more) => format!("{what}: {more}"),
        None => what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outcrop_store::Href;
    use serde_json::json;

    #[test]
    fn an_item_says_what_its_assets_want() {
        let item = json!({"type": "Feature", "id": "i", "geometry": null, "links": [],
            "properties": {
                "auth:schemes": {"oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://aai.example/x"}, "key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
                "storage:schemes": {"aws": {"type": "aws-s3", "requester_pays": true}, "free": {"type": "aws-s3"}}},
            "assets": {
                "a": {"href": "a", "auth:refs": ["oidc", "key"]},
                "b": {"href": "b", "storage:refs": ["aws"]},
                "c": {"href": "c", "storage:refs": ["free"], "auth:refs": ["absent"]},
                "d": {"href": "d", "storage:requester_pays": true, "auth:refs": "odd"}}});
        let item = Document::from_value(Href::parse("/i.json").unwrap(), item).unwrap();
        let a = wants(&item, "a").unwrap();
        assert!(a.contains("https://aai.example/x") && a.contains("API key in `X-Key`"), "{a}");
        assert!(wants(&item, "b").unwrap().contains("AWS_REQUEST_PAYER"));
        assert_eq!((wants(&item, "c"), wants(&item, "e")), (None, None));
        assert!(wants(&item, "d").unwrap().contains("AWS_REQUEST_PAYER"));
    }
}
