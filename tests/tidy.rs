//! Do we keep our manners? What style asks for and no compiler checks; each test is named by the manner that it holds.

#[cfg(test)]
mod tidy {
    mod commands;
    mod crate_edges;
    mod licences;
    mod links;
    mod logging;
    mod manifests;
    mod named_tests;
    mod repository;
    mod sources;
    mod spdx;
}
