"""The only door to ONNX Runtime, and the pre-processing that training shares."""
