//! Domain formulas, each a function from datasets to datasets
