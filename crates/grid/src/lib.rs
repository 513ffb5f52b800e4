//! Where and when cells are: axes, transforms, CRS, footprints, times
