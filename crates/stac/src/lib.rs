//! STAC documents: layouts, reading, walking and writing static catalogs
