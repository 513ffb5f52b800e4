//! Tests of building, updating, harvesting and searching catalogs; one program, since each costs its linking.

mod daymet;
mod harvest;
mod headers;
mod http;
mod search;
mod servers;
mod sources;
mod survey;
mod update;
