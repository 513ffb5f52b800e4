//! Tests of documents, trees and tables; one program, since each costs its linking.

mod bytes;
mod facts;
mod geoparquet;
mod migrate;
mod trees;
