"""Detection: fitted frames through an onnxruntime session into detections."""
