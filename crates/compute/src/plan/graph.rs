//! A lazy array as a graph of what is done to what: to be read, drawn, and known again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::DataArray;
use crate::expr::select::Pick;
use crate::expr::{Expr, Node};

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct GraphNode {
    /// What is done.
    pub op: String,
    /// With what.
    pub detail: Value,
    /// Shape of the result.
    pub shape: Vec<u64>,
    /// Type of its values.
    pub dtype: &'static str,
    /// Numbers of the steps whose results it takes.
    pub inputs: Vec<usize>,
}

/// Steps in an order in which they can be done; the last gives the result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Graph {
    /// The steps.
    pub nodes: Vec<GraphNode>,
}

impl DataArray {
    /// What is done to make the array.
    pub fn graph(&self) -> Graph {
        Graph::of(&self.expr)
    }

    /// Letters and digits that are the same for arrays that are made of the same files by the same steps.
    ///
    /// Functions of the user count by their names only.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::to_vec(&self.graph()).unwrap_or_default();
        blake3::hash(&text).to_hex().chars().take(24).collect()
    }
}

impl Graph {
    pub(crate) fn of(expr: &Arc<Expr>) -> Self {
        let mut graph = Self::default();
        graph.add(expr, &mut HashMap::new());
        graph
    }

    fn add(&mut self, expr: &Arc<Expr>, seen: &mut HashMap<*const Expr, usize>) -> usize {
        if let Some(at) = seen.get(&Arc::as_ptr(expr)) {
            return *at;
        }
        let inputs = expr.inputs().iter().map(|input| self.add(input, seen)).collect();
        let (op, detail) = described(expr);
        let node = GraphNode { op, detail, shape: expr.shape.clone(), dtype: expr.dtype.name(), inputs };
        self.nodes.push(node);
        seen.insert(Arc::as_ptr(expr), self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// The graph in the language of Graphviz.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph plan {\n  rankdir=TB;\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for (at, node) in self.nodes.iter().enumerate() {
            let label = node.lines().join("\\n").replace('"', "\\\"");
            // Writing to a text cannot fail.
            let _ = writeln!(dot, "  n{at} [label=\"{label}\"];");
            for input in &node.inputs {
                let _ = writeln!(dot, "  n{input} -> n{at};");
            }
        }
        dot.push_str("}\n");
        dot
    }

    /// A drawing: steps from top to bottom, each below all that it takes.
    pub fn to_svg(&self) -> String {
        let (wide, high, gap) = (210, 58, 34);
        let mut levels: Vec<Vec<usize>> = Vec::new();
        let mut level_of = vec![0usize; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            let level = node.inputs.iter().map(|input| level_of[*input] + 1).max().unwrap_or(0);
            level_of[at] = level;
            levels.resize(levels.len().max(level + 1), Vec::new());
            levels[level].push(at);
        }
        let most = levels.iter().map(Vec::len).max().unwrap_or(1);
        let (width, height) = (most * (wide + gap) + 3 * gap, levels.len() * (high + gap) + gap);
        let mut place = vec![(0, 0); self.nodes.len()];
        for (level, nodes) in levels.iter().enumerate() {
            let left = (width - (nodes.len() * (wide + gap) - gap)) / 2;
            for (at, node) in nodes.iter().enumerate() {
                place[*node] = (left + at * (wide + gap), gap + level * (high + gap));
            }
        }
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
             <path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n"
        );
        self.draw_edges(&place, &level_of, (wide, high), &mut svg);
        self.draw_boxes(&place, (wide, high), &mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    /// Straight lines to the next level; what skips levels goes around them on the right.
    fn draw_edges(&self, place: &[(usize, usize)], levels: &[usize], (wide, high): (usize, usize), svg: &mut String) {
        for (at, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                let ((x0, y0), (x1, y1)) = (place[*input], place[at]);
                let path = if levels[at] > levels[*input] + 1 {
                    let (right0, right1) = (x0 + wide, x1 + wide);
                    let bend = right0.max(right1) + 50;
                    format!(
                        "M{right0} {} C{bend} {} {bend} {} {right1} {}",
                        y0 + high / 2,
                        y0 + high,
                        y1,
                        y1 + high / 2
                    )
                } else {
                    format!("M{} {} L{} {y1}", x0 + wide / 2, y0 + high, x1 + wide / 2)
                };
                let _ = writeln!(svg, "<path d=\"{path}\" stroke=\"#555\" fill=\"none\" marker-end=\"url(#a)\"/>");
            }
        }
    }

    fn draw_boxes(&self, place: &[(usize, usize)], (wide, high): (usize, usize), svg: &mut String) {
        for (at, node) in self.nodes.iter().enumerate() {
            let (x, y) = place[at];
            let colour = match node.op.as_str() {
                "open" | "values" | "number" => "#d9ead3",
                "rechunk" => "#fff2cc",
                _ => "#dae8fc",
            };
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" rx=\"5\" fill=\"{colour}\" stroke=\"#555\"/>"
            );
            for (line, text) in node.lines().iter().enumerate() {
                let weight = if line == 0 { " font-weight=\"bold\"" } else { "" };
                let short: String = text.chars().take(31).collect();
                let _ = writeln!(
                    svg,
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\"{weight}>{}</text>",
                    x + wide / 2,
                    y + 18 + 16 * line,
                    escaped(&short)
                );
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl GraphNode {
    fn lines(&self) -> Vec<String> {
        let detail = match &self.detail {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Object(all) => {
                let short = |(key, value): (&String, &Value)| format!("{key} {}", value.to_string().trim_matches('"'));
                all.iter()
                    .filter(|(key, _)| *key != "kernel" && *key != "href")
                    .map(short)
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            other => other.to_string(),
        };
        let shape = self.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
        let shape = if shape.is_empty() { "a number".to_owned() } else { shape };
        vec![self.op.clone(), detail, format!("{shape} {}", self.dtype)]
    }
}

/// When the documents of a local store were written; a file is known by its size and ETag.
fn changed(href: &outcrop_store::Href, variable: &str) -> Vec<u128> {
    let Some(folder) = href.to_path().filter(|path| path.is_dir()) else { return Vec::new() };
    let documents = ["zarr.json", ".zmetadata", ".zarray"].into_iter();
    let all = documents.flat_map(|name| [folder.join(name), folder.join(variable).join(name)]);
    let time = |path: std::path::PathBuf| {
        let time = std::fs::metadata(path).ok()?.modified().ok()?;
        time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_nanos())
    };
    all.filter_map(time).collect()
}

/// The name that an operation has where it is written down.
fn named(op: &impl Serialize) -> String {
    match serde_json::to_value(op) {
        Ok(Value::String(name)) => name,
        _ => "operation".to_owned(),
    }
}

fn described(expr: &Expr) -> (String, Value) {
    match &expr.node {
        Node::Source(source) => {
            let object = source.origin.object();
            let detail = json!({
                "variable": source.variable.name, "href": source.href().to_string(), "chunk": source.refs.grid.chunk,
                "size": object.map(|object| object.size), "etag": object.and_then(|object| object.etag.clone()),
                "decoded": source.decoding.as_ref().map(|rules| format!("{rules:?}")),
                "changed": changed(source.href(), &source.variable.name),
            });
            ("open".into(), detail)
        }
        Node::Values(block) => {
            ("values".into(), Value::String(blake3::hash(block.bytes()).to_hex().chars().take(16).collect()))
        }
        Node::Full(one) => ("number".into(), Value::String(format!("{one:?}"))),
        Node::Cast(_) => ("astype".into(), json!(expr.dtype.name())),
        Node::Unary(op, _) => (named(op), Value::Null),
        Node::Binary(op, _) => (named(op), Value::Null),
        Node::Where(_) => ("where".into(), Value::Null),
        Node::Select(_, picks) => ("isel".into(), Value::String(picks.iter().map(pick).collect::<Vec<_>>().join(", "))),
        Node::Transpose(_, order) => ("transpose".into(), json!(order)),
        Node::Broadcast(_, dims) => ("broadcast".into(), json!(dims)),
        Node::Concat(_, axis) => ("concat".into(), json!({"axis": axis})),
        Node::Coarsen(_, windows) => ("coarsen".into(), json!({"kind": "mean", "windows": windows})),
        Node::Reduce(_, reduce) => {
            let groups = reduce.groups.as_ref().map(|groups| groups.codes.to_vec());
            let mut detail = json!({"axes": reduce.axes, "options": reduce.options});
            if let Some(groups) = groups {
                detail["groups"] = json!(blake3::hash(bytemuck::cast_slice(&groups)).to_hex().to_string());
            }
            (reduce.name().to_owned(), detail)
        }
        Node::Kernel(_, kernel) => {
            let spec = kernel.spec();
            (spec.get("kernel").and_then(Value::as_str).unwrap_or("kernel").to_owned(), spec)
        }
        Node::Dot(_) => ("dot".into(), Value::Null),
        Node::Chunked(_, chunk) => ("chunks".into(), json!(chunk)),
        Node::Stored(stored) => ("rechunk".into(), json!(stored.chunk)),
    }
}

fn pick(pick: &Pick) -> String {
    match pick {
        Pick::Range { start, step: 1, len } => format!("{start}:{}", start + len),
        Pick::Range { start, step, len } => format!("{start}:{len}x{step}"),
        Pick::At(at) => at.to_string(),
        Pick::Take(all) => format!(
            "{} of {}",
            all.len(),
            blake3::hash(bytemuck::cast_slice(all)).to_hex().chars().take(8).collect::<String>()
        ),
    }
}
