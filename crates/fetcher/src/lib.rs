//! Copies of selected assets: concurrent, verified, with rewritten hrefs
