//! Files over HTTP with index pages and byte ranges
