"""Any two folders of masks, held against each other: `medseg evaluate`."""
