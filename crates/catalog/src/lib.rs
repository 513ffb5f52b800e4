//! From a recipe to items to a catalog; search over catalogs
