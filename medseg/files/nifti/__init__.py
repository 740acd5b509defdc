"""NIfTI: the door, the header, the voxels, and writing."""
