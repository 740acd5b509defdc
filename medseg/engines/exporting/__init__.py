"""Networks for other programs: traced, written as ONNX, torch.export or a MONAI bundle, and compared with PyTorch."""
