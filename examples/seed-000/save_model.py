"""Save a PyTorch model as TorchScript for Vertex AI."""

import torch
from network import ImageClassifier

# Create model and load trained weights
model = ImageClassifier(num_classes=10)
model.load_state_dict(torch.load("trained_weights.pth"))
model.eval()

# Convert to TorchScript using tracing
example_input = torch.randn(1, 3, 32, 32)
traced_model = torch.jit.trace(model, example_input)

# Save the traced model
traced_model.save("model.pt")
print("Model saved as TorchScript")
