"""Steps for Kubeflow Pipelines: upload a model, deploy it, predict a batch."""
