"""Where curves are shown beside curve.csv: TensorBoard, MLflow, Weights & Biases; each is an extra, off by default."""
