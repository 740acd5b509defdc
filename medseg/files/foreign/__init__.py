"""Scans that are no NIfTI: NRRD, MetaImage and DICOM, with native readers in a child process."""
