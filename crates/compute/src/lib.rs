//! Lazy labelled chunked arrays, plans and executors
