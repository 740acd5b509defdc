"""The models: our own U-Net and an adapter to MONAI's."""
