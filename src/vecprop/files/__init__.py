"""Models outside the program that trained them: model files, ONNX, NumPy source, and models from scikit-learn."""
