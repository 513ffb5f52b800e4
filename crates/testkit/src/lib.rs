//! Tools for tests: golden arrays, a faulty archive
