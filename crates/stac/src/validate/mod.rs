//! Checks documents against the JSON schemas of STAC 1.0 and 1.1 and of its extensions, without a network: the schemas are
//! in the program (from `crates/stac/schemas`).
//!
//! What has no schema at hand is said, not passed over.

mod own;
mod schemas;

use std::collections::{BTreeSet, HashMap};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Retrieve, Uri, ValidationError};
use serde_json::Value;

/// Longest value that is shown in a message.
const MOST_SHOWN: usize = 60;
/// Most faults that are told of one document.
const MOST_FAULTS: usize = 50;

/// Something in a document that its schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where it is: names and numbers of the members, such as `assets.data.bands.0.nodata`; empty for the document itself.
    pub field: String,
    /// What was expected there.
    pub expected: String,
    /// The schema that says so.
    pub schema: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = if self.field.is_empty() { "the document" } else { self.field.as_str() };
        write!(f, "`{field}` {} ({})", self.expected, self.schema)
    }
}

/// What was found in a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Its faults; none where it is valid as far as it could be checked.
    pub faults: Vec<Fault>,
    /// Schemas that it names and that are not at hand.
    pub unknown: Vec<String>,
    /// The schema of its very kind and version is not at hand: nothing is known of it.
    pub is_unchecked: bool,
}

/// Checks documents. It keeps the schemas that it has read.
pub struct Validator {
    /// `None` is a schema that is not at hand, or none that can be used.
    schemas: HashMap<String, Option<jsonschema::Validator>>,
    more: HashMap<String, Value>,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").field("schemas", &self.schemas.len()).finish_non_exhaustive()
    }
}

impl Default for Validator {
    fn default() -> Self {
        Self::new()
    }
}

impl Validator {
    /// With the schemas that are in the program.
    pub fn new() -> Self {
        Self { schemas: HashMap::new(), more: HashMap::new() }
    }

    /// The addresses of the schemas that are in the program.
    pub fn addresses() -> impl Iterator<Item = &'static str> {
        schemas::SCHEMAS.iter().chain(&own::SCHEMAS).map(|(address, _)| *address)
    }

    /// Adds a schema of this address, for documents that are checked from now on.
    pub fn add(&mut self, address: &str, schema: Value) {
        self.more.insert(address.trim_end_matches('#').to_owned(), schema);
        self.schemas.retain(|_, schema| schema.is_some());
    }

    /// Checks a catalog, a collection, an item, or a collection of items.
    pub fn check(&mut self, document: &Value) -> Checked {
        let mut checked = Checked::default();
        let mut faults = BTreeSet::new();
        let names = Self::schemas_of(document, &mut faults);
        for (number, address) in names.into_iter().enumerate() {
            if let Some(schema) = self.schema(&address) {
                let errors = schema.iter_errors(document).take(MOST_FAULTS);
                faults.extend(errors.flat_map(|error| told(&error, &address)));
            } else {
                checked.is_unchecked |= number == 0;
                checked.unknown.push(address);
            }
        }
        checked.faults = faults.into_iter().take(MOST_FAULTS).collect();
        checked
    }

    /// The schemas that a document must keep to: that of its kind and version, and those of its extensions.
    fn schemas_of(document: &Value, faults: &mut BTreeSet<Fault>) -> Vec<String> {
        let mut fault = |field: &str, expected: &str| {
            let (field, expected) = (field.to_owned(), expected.to_owned());
            faults.insert(Fault { field, expected, schema: "STAC".to_owned() });
        };
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let (part, name) = match text("type") {
            Some("Catalog") => ("catalog", "catalog"),
            Some("Collection") => ("collection", "collection"),
            Some("Feature") => ("item", "item"),
            // Its items are checked one by one.
            Some("FeatureCollection") => return Vec::new(),
            _ => {
                fault("type", "must be Catalog, Collection, Feature or FeatureCollection");
                return Vec::new();
            }
        };
        let Some(version) = text("stac_version") else {
            fault("stac_version", "must be there, as text");
            return Vec::new();
        };
        let core = format!("https://schemas.stacspec.org/v{version}/{part}-spec/json-schema/{name}.json");
        let extensions = document.get("stac_extensions").and_then(Value::as_array).into_iter().flatten();
        let extensions = extensions.filter_map(Value::as_str).map(|address| address.trim_end_matches('#').to_owned());
        std::iter::once(core).chain(extensions).collect()
    }

    fn schema(&mut self, address: &str) -> Option<&jsonschema::Validator> {
        if !self.schemas.contains_key(address) {
            let library = Library(self.more.clone());
            let found = library.find(address);
            let made = found.and_then(|schema| jsonschema::options().with_retriever(library).build(&schema).ok());
            self.schemas.insert(address.to_owned(), made);
        }
        self.schemas.get(address)?.as_ref()
    }
}

/// Schemas by address.
struct Library(HashMap<String, Value>);

impl Library {
    fn find(&self, address: &str) -> Option<Value> {
        let address = address.trim_end_matches('#');
        if let Some(schema) = self.0.get(address) {
            return Some(schema.clone());
        }
        // Where the server of PROJ leads on to.
        let moved = address.replace("https://proj.org/schemas/", "https://proj.org/en/latest/schemas/");
        let (_, text) = schemas::SCHEMAS.iter().chain(&own::SCHEMAS).find(|(known, _)| *known == moved)?;
        serde_json::from_str(text).ok()
    }
}

impl Retrieve for Library {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        self.find(uri.as_str()).ok_or_else(|| format!("the schema `{uri}` is not at hand").into())
    }
}

/// A fault, or where a choice of forms was not met those of the form that comes nearest.
fn told(error: &ValidationError<'_>, schema: &str) -> Vec<Fault> {
    let field = error.instance_path.to_string().trim_start_matches('/').replace('/', ".");
    let fault = |expected: String| vec![Fault { field: field.clone(), expected, schema: schema.to_owned() }];
    let shown = || shortened(&error.instance.to_string());
    match &error.kind {
        ValidationErrorKind::Required { property } => {
            fault(format!("lacks `{}`", property.as_str().unwrap_or_default()))
        }
        ValidationErrorKind::Enum { options } => {
            fault(format!("is {}, must be one of {}", shown(), shortened(&options.to_string())))
        }
        ValidationErrorKind::Constant { expected_value } => fault(format!("is {}, must be {expected_value}", shown())),
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            fault(format!("must not have `{}`", unexpected.join("`, `")))
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            // The form whose faults lie deepest was most likely meant.
            let depth = |errors: &Vec<ValidationError<'static>>| {
                errors.iter().map(|error| error.instance_path.to_string().matches('/').count()).max().unwrap_or(0)
            };
            match context.iter().max_by_key(|errors| (depth(errors), std::cmp::Reverse(errors.len()))) {
                Some(errors) if !errors.is_empty() => errors.iter().flat_map(|error| told(error, schema)).collect(),
                _ => fault("has none of the forms that are allowed".to_owned()),
            }
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            fault("has more than one of the forms that are allowed".to_owned())
        }
        ValidationErrorKind::Not { .. } => fault("has a form that is not allowed".to_owned()),
        ValidationErrorKind::Pattern { pattern } => fault(format!("is {}, must match `{pattern}`", shown())),
        ValidationErrorKind::Format { format } => fault(format!("is {}, must be of the form {format}", shown())),
        ValidationErrorKind::FalseSchema => fault("must not be there".to_owned()),
        _ => fault(format!("is {}: {}", shown(), error.masked_with("it"))),
    }
}

/// A value as short as it is shown.
fn shortened(text: &str) -> String {
    if text.chars().count() <= MOST_SHOWN {
        return text.to_owned();
    }
    text.chars().take(MOST_SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item() -> Value {
        json!({"type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": "i",
            "geometry": {"type": "Point", "coordinates": [1.0, 2.0]}, "bbox": [1.0, 2.0, 1.0, 2.0],
            "properties": {"datetime": "2020-01-01T00:00:00Z"}, "links": [], "assets": {"a": {"href": "./a.tif"}}})
    }

    fn faults(document: &Value) -> Vec<String> {
        Validator::new().check(document).faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn valid_documents_of_both_versions_have_no_faults() {
        let mut old = item();
        old["stac_version"] = json!("1.0.0");
        let catalog = json!({"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "d", "links": []});
        let collection = json!({"type": "Collection", "stac_version": "1.1.0", "id": "c", "description": "d", "links": [],
            "license": "MIT", "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [[null, null]]}}});
        for document in [item(), old, catalog, collection] {
            assert_eq!(Validator::new().check(&document), Checked::default(), "{document}");
        }
    }

    #[test]
    fn faults_say_where_and_what_was_expected() {
        let with = |pointer: &str, value: Value| {
            let mut item = item();
            *item.pointer_mut(pointer).unwrap() = value;
            faults(&item)
        };
        let told = with("/properties/datetime", json!("yesterday"));
        assert!(told.iter().any(|fault| fault.starts_with("`properties.datetime` is \"yesterday\"")), "{told:?}");
        let told = with("/assets/a", json!({}));
        assert!(told.iter().any(|fault| fault.starts_with("`assets.a` lacks `href`")), "{told:?}");
        let told = with("/geometry", json!({"type": "Point", "coordinates": ["x"]}));
        assert!(told.iter().any(|fault| fault.starts_with("`geometry")), "{told:?}");
        let told = with("/type", json!("Thing"));
        assert!(told[0].starts_with("`type` must be Catalog"), "{told:?}");
        let mut lacks = item();
        lacks.as_object_mut().unwrap().remove("links");
        assert!(faults(&lacks).iter().any(|fault| fault.contains("lacks `links`")), "{:?}", faults(&lacks));
    }

    #[test]
    fn rules_of_our_own_stand_in_for_schemas_that_no_package_carries() {
        let with = |extension: &str, asset: Value| {
            let mut item = item();
            item["stac_extensions"] = json!([format!("https://stac-extensions.github.io/{extension}/schema.json")]);
            item["assets"]["a"].as_object_mut().unwrap().extend(asset.as_object().unwrap().clone());
            let checked = Validator::new().check(&item);
            assert!(checked.unknown.is_empty(), "{:?}", checked.unknown);
            checked.faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let axis = |field: &str, value: Value| json!({"cube:dimensions": {"x": {"type": "spatial", "axis": "x", field: value, "reference_system": 4326}}});
        for (extension, good, bad) in [
            (
                "eo/v2.0.0",
                json!({"bands": [{"eo:common_name": "red"}]}),
                json!({"bands": [{"eo:common_name": "redd"}]}),
            ),
            ("eo/v2.0.0", json!({"eo:cloud_cover": 100}), json!({"eo:cloud_cover": 101})),
            ("raster/v2.0.0", json!({"raster:sampling": "point"}), json!({"raster:sampling": "dot"})),
            (
                "alternate-assets/v1.2.0",
                json!({"alternate": {"s3": {"href": "s3://b/a"}}}),
                json!({"alternate": {"s3": {}}}),
            ),
            ("datacube/v2.3.0", axis("extent", json!([0, 1])), axis("values", json!([0, 1]))),
            ("datacube/v2.3.0", axis("extent", json!([0, 1])), json!({"cube:variables": {}})),
        ] {
            assert_eq!(with(extension, good), Vec::<String>::new(), "{extension}");
            assert!(!with(extension, bad.clone()).is_empty(), "{extension} {bad}");
        }
    }

    #[test]
    fn extensions_are_checked_where_their_schema_is_at_hand() {
        let mut projected = item();
        projected["stac_extensions"] = json!([
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://example.com/own/v1.0.0/schema.json"
        ]);
        projected["properties"]["proj:code"] = json!(4326);
        let mut validator = Validator::new();
        let checked = validator.check(&projected);
        assert_eq!(checked.unknown, ["https://example.com/own/v1.0.0/schema.json"]);
        assert!(checked.faults.iter().any(|fault| fault.field == "properties.proj:code"), "{:?}", checked.faults);
        validator.add("https://example.com/own/v1.0.0/schema.json", json!({"required": ["own"]}));
        let checked = validator.check(&projected);
        assert!(checked.unknown.is_empty());
        assert!(checked.faults.iter().any(|fault| fault.expected == "lacks `own`"));
    }

    #[test]
    fn every_schema_of_the_program_can_be_used() {
        let mut validator = Validator::new();
        let unusable: Vec<&str> =
            Validator::addresses().filter(|address| validator.schema(address).is_none()).collect();
        assert_eq!(unusable, Vec::<&str>::new());
    }
}
