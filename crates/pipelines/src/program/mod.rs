//! Programs: arrays computed as a file of steps says. Each step has a name, an operation and what it takes: names of earlier steps, or
//! numbers. The operations are those of the compute crate, under the names of NumPy and xarray.

mod open;
mod operations;
mod output;
mod parameters;

use indexmap::IndexMap;
use outcrop_compute::plan::{Graph, GraphNode, Partition};
use outcrop_compute::{DataArray, RunOptions};
use outcrop_store::{Href, Store};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::register::Inputs;
use crate::report::shown_value;
use crate::{Error, Result};
use open::Opening;
use output::Doing;
pub use output::{Output, Plot, Written};
use parameters::Parameters;

/// A file of steps.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// What it is for.
    #[serde(default)]
    pub title: String,
    /// The steps, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// What is written; without one, the last step is printed if it is small.
    #[serde(rename = "output", default)]
    pub outputs: Vec<Output>,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The operation.
    pub op: String,
    /// Names of steps or numbers that it takes; by default the step before.
    #[serde(default)]
    pub of: Option<Value>,
    /// Its parameters.
    #[serde(flatten)]
    pub parameters: Map<String, Value>,
}

/// Arrays by the names of their steps.
#[derive(Debug)]
pub struct Prepared {
    arrays: IndexMap<String, DataArray>,
    program: Program,
    store: Store,
}

impl Program {
    /// Reads a program (TOML).
    ///
    /// # Errors
    /// [`Error::Program`] that says where it is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let program: Self =
            toml::from_str(text).map_err(|e| Error::Program { at: "the file".into(), why: e.to_string() })?;
        if program.steps.is_empty() {
            return Err(Error::Program { at: "the file".into(), why: "it has no [[step]]".into() });
        }
        Ok(program)
    }

    /// Opens the files and settles shapes, types and labels of all steps; reads headers only. Paths are relative to `folder`; steps that open
    /// nothing of their own open `items`.
    ///
    /// # Errors
    /// [`Error::Program`] that names the step; those of opening.
    pub fn prepare(&self, store: &Store, folder: &Href, items: &[Inputs]) -> Result<Prepared> {
        let opening = Opening { store, folder, items };
        let mut arrays: IndexMap<String, DataArray> = IndexMap::new();
        for step in &self.steps {
            if arrays.contains_key(&step.name) {
                return Err(at(&step.name, "there are two steps of this name"));
            }
            let parameters = Parameters::new(step);
            let array = match step.op.as_str() {
                "open" => open::open(opening, &parameters)?,
                "random" => open::random(&parameters)?,
                _ => operations::apply(step, &parameters, &arrays)?,
            };
            parameters.check_all_used()?;
            arrays.insert(step.name.clone(), array.named(&step.name));
        }
        let takes =
            |step: &Step| step.op == "open" && !["path", "items"].iter().any(|key| step.parameters.contains_key(*key));
        if !items.is_empty() && !self.steps.iter().any(takes) {
            let why = "items are given, but each `open` names files or items of its own".into();
            return Err(Error::Program { at: "the file".into(), why });
        }
        for output in &self.outputs {
            output.check(&arrays)?;
        }
        Ok(Prepared { arrays, program: self.clone(), store: store.clone() })
    }
}

fn at(step: &str, why: impl Into<String>) -> Error {
    Error::Program { at: format!("step `{step}`"), why: why.into() }
}

impl Prepared {
    /// The steps as a graph: each is done once.
    pub fn graph(&self) -> Graph {
        let names: Vec<&String> = self.arrays.keys().collect();
        let node = |(step, array): (&Step, &DataArray)| GraphNode {
            op: format!("{} = {}", step.name, step.op),
            detail: shown_value(&json!(step.parameters)),
            shape: array.shape(),
            dtype: array.dtype().name(),
            inputs: operations::names(step, &names).iter().filter_map(|name| self.arrays.get_index_of(*name)).collect(),
        };
        Graph { nodes: self.program.steps.iter().zip(self.arrays.values()).map(node).collect() }
    }

    /// What each output would take, before anything is read.
    ///
    /// # Errors
    /// [`outcrop_compute::Error::Memory`] if it does not fit the allowance.
    pub fn summary(&self, run: &RunOptions) -> Result<Value> {
        let outputs: Result<Vec<Value>> = self.outputs().iter().map(|o| o.summary(&self.arrays, run)).collect();
        Ok(
            json!({"pipeline": "program", "title": self.program.title, "steps": self.graph().nodes, "outputs": outputs?}),
        )
    }

    /// Computes and writes all outputs, one after the other. Windows of arrays that fail because of what is read for them are told, and the
    /// others computed.
    ///
    /// # Errors
    /// Those of computing and writing.
    pub fn run(&self, folder: &Href, run: &RunOptions, partition: Option<Partition>) -> Result<Vec<Written>> {
        let doing = Doing { store: &self.store, run, partition };
        for output in self.outputs() {
            output.check_place(folder, partition)?;
        }
        self.outputs().iter().map(|output| output.write(&self.arrays, folder, doing)).collect()
    }

    fn outputs(&self) -> Vec<Output> {
        if self.program.outputs.is_empty() {
            let last = self.arrays.last().map(|(name, _)| name.clone()).unwrap_or_default();
            return vec![Output::printed(&last)];
        }
        self.program.outputs.clone()
    }

    /// Files that the outputs are made of, without secrets, each once.
    pub fn inputs(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for output in self.outputs() {
            let sources = self.arrays.get(&output.of).map(DataArray::sources).unwrap_or_default();
            all.extend(sources.iter().map(|source| source.href().to_string()));
        }
        all.sort();
        all.dedup();
        all
    }

    /// What it is for.
    pub fn title(&self) -> &str {
        &self.program.title
    }

    /// The array of a step.
    ///
    /// # Errors
    /// [`Error::Program`] if there is none of the name.
    pub fn array(&self, step: &str) -> Result<&DataArray> {
        self.arrays.get(step).ok_or_else(|| at(step, "there is none"))
    }
}
