//! What became of a run, to read after it: as a page (HTML), as text, or as JSON.

use std::fmt::Write;

use chrono::SubsecRound;
use outcrop_compute::human;
use outcrop_compute::plan::Graph;
use serde::Serialize;
use serde_json::{Value, json};

use crate::program::Written;

/// Failures that a page or a text names; JSON has all.
const NAMED: usize = 200;
/// Files that a page or a text names.
const FILES: usize = 50;

/// What a run did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What it was for.
    pub title: String,
    /// The command as it was given.
    pub command: String,
    /// Version of the program.
    pub version: &'static str,
    /// When it began, RFC 3339.
    pub began: String,
    /// How long it took.
    pub seconds: f64,
    /// Bytes that were read, of files here and elsewhere.
    pub bytes_read: [u64; 2],
    /// Largest memory of the process, in bytes.
    pub peak_memory: u64,
    /// Files that the results are made of, without secrets.
    pub inputs: Vec<String>,
    /// The results.
    pub outputs: Vec<Written>,
    /// The steps.
    #[serde(skip)]
    pub graph: Graph,
}

/// A text as it may be shown: an href without its secrets.
pub fn shown(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    outcrop_store::Href::parse(text).map_or_else(|_| "<href>".to_owned(), |href| href.to_string())
}

/// As [`shown`], of all texts of a value.
pub(crate) fn shown_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(shown(text)),
        Value::Array(all) => Value::Array(all.iter().map(shown_value).collect()),
        Value::Object(all) => Value::Object(all.iter().map(|(key, value)| (key.clone(), shown_value(value))).collect()),
        other => other.clone(),
    }
}

/// The time, RFC 3339.
pub fn now() -> String {
    outcrop_grid::time::rfc3339(&chrono::Utc::now().trunc_subsecs(0))
}

impl Report {
    /// `done`, `failed` or `part` of a result.
    fn state(output: &Written) -> &'static str {
        match (output.failed.is_empty(), output.complete) {
            (false, _) => "failed",
            (true, true) => "done",
            (true, false) => "part",
        }
    }

    /// Lines of a result: what it is, and how much was done when.
    fn line(output: &Written) -> [String; 5] {
        let shape = output.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ");
        let [run, skipped] = output.tasks;
        let to = output.to.clone().unwrap_or_else(|| "printed".into());
        let failed = output.failed.len() as u64;
        let tasks = format!("{} done, {skipped} by an earlier run, {failed} failed", run.saturating_sub(failed));
        [output.of.clone(), format!("{shape} {}", output.dtype), to, Self::state(output).to_owned(), tasks]
    }

    fn facts(&self) -> [(&'static str, String); 6] {
        let rate =
            if self.seconds > 0.0 { (self.bytes_read[0] + self.bytes_read[1]) as f64 / self.seconds } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
        let rate = human(rate as u64);
        [
            ("command", self.command.clone()),
            ("outcrop", self.version.to_owned()),
            ("began", self.began.clone()),
            ("took", format!("{:.2} s", self.seconds)),
            ("read", format!("{} here, {} from afar, {rate}/s", human(self.bytes_read[0]), human(self.bytes_read[1]))),
            ("peak memory", human(self.peak_memory)),
        ]
    }

    /// JSON with everything, failed windows among it.
    pub fn to_json(&self) -> Value {
        let mut all = json!(self);
        all["steps"] = json!(self.graph.nodes);
        all
    }

    /// Lines for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n", if self.title.is_empty() { "outcrop run" } else { &self.title });
        for (name, value) in self.facts() {
            let _ = writeln!(text, "{name:>12}  {value}");
        }
        for output in &self.outputs {
            let [of, what, to, state, tasks] = Self::line(output);
            let _ = writeln!(text, "\n{of}: {state}\n  {what} -> {to}\n  tasks: {tasks}");
            for failed in output.failed.iter().take(NAMED) {
                let _ = writeln!(text, "  failed {failed}");
            }
            more(&mut text, output.failed.len(), NAMED, "failed");
        }
        let _ = writeln!(text, "\n{} input files", self.inputs.len());
        for file in self.inputs.iter().take(FILES) {
            let _ = writeln!(text, "  {file}");
        }
        more(&mut text, self.inputs.len(), FILES, "files");
        text
    }

    /// A page that stands alone.
    pub fn to_html(&self) -> String {
        let title = escaped(if self.title.is_empty() { "outcrop run" } else { &self.title });
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<table>"
        );
        for (name, value) in self.facts() {
            let _ = write!(page, "<tr><th>{name}<td>{}", escaped(&value));
        }
        page.push_str("</table>\n<h2>Results</h2>\n<table><tr><th>step<th>array<th>file<th>state<th>tasks");
        for output in &self.outputs {
            let [of, what, to, state, tasks] = Self::line(output).map(|cell| escaped(&cell));
            let _ = write!(page, "<tr><td>{of}<td>{what}<td>{to}<td class=\"{state}\">{state}<td>{tasks}");
        }
        page.push_str("</table>\n");
        for output in self.outputs.iter().filter(|output| !output.failed.is_empty()) {
            let _ = write!(page, "<h2>Failed in {}</h2>\n<table><tr><th>window<th>reason", escaped(&output.of));
            for failed in output.failed.iter().take(NAMED) {
                let _ = write!(page, "<tr><td>{}<td>{}", failed.place(), escaped(&failed.why));
            }
            page.push_str("</table>\n");
            if output.failed.len() > NAMED {
                let _ = write!(page, "<p>and {} more", output.failed.len() - NAMED);
            }
            page.push_str("<p>Mend or fetch these files and run the same command: it computes what is missing.\n");
        }
        let _ = write!(page, "<h2>Steps</h2>\n<div class=\"graph\">{}</div>\n", self.graph.to_svg());
        let _ = write!(page, "<h2>Inputs</h2>\n<p>{} files<ul>", self.inputs.len());
        for file in self.inputs.iter().take(FILES) {
            let _ = write!(page, "<li>{}", escaped(file));
        }
        page.push_str("</ul>");
        if self.inputs.len() > FILES {
            let _ = write!(page, "<p>and {} more", self.inputs.len() - FILES);
        }
        page.push_str("\n</html>\n");
        page
    }
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#f4f4f4;font-weight:600;white-space:nowrap}.done{background:#e2f3e2}.failed{background:#fbe0de}.part{background:#fff3d0}\
.graph{overflow:auto;border:1px solid #ccc;padding:.5rem}.graph svg{max-width:none}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:1.6rem}";

fn more(text: &mut String, all: usize, named: usize, what: &str) {
    if all > named {
        let _ = writeln!(text, "  and {} more {what}", all - named);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let value = json!({"path": ["https://user:word@example.com/a.nc?sig=abcdef", "local.nc"], "n": 3});
        let text = shown_value(&value).to_string();
        assert!(!text.contains("word") && !text.contains("abcdef") && text.contains("local.nc"), "{text}");
        assert!(text.contains("example.com/a.nc"), "{text}");
        assert!(!shown("https://user:word@[bad/a.nc").contains("word"));
    }

    #[test]
    fn failures_are_on_the_page_and_in_the_text() {
        let failed = outcrop_compute::plan::FailedWindow { window: vec![0..4, 2..3], why: "a <b> & c".into() };
        let output = Written {
            of: "mean".into(),
            to: Some("mean.zarr".into()),
            values: None,
            shape: vec![4, 5],
            dtype: "float32",
            tasks: [3, 1],
            complete: false,
            failed: vec![failed],
        };
        let report = Report { title: "t <i>".into(), outputs: vec![output], ..Report::default() };
        let page = report.to_html();
        assert!(page.contains("[0:4, 2:3]") && page.contains("a &lt;b&gt; &amp; c") && page.contains("t &lt;i&gt;"));
        let text = report.to_text();
        assert!(text.contains("mean: failed") && text.contains("2 done, 1 by an earlier run, 1 failed"), "{text}");
        assert_eq!(report.to_json()["outputs"][0]["failed"][0]["window"][1]["end"], 3);
    }
}
