"""Versions that are registered, found, deployed, compared and brought back."""

import numpy as np
from network import INPUTS

import homeport

# Instantiate the Model Registry
model_registry = homeport.ModelRegistry()

# Upload the model to the registry
model_resource = model_registry.upload_model(
    display_name="MyAwesomeModel",
    artifact_uri="my_model_v1.mar",  # a local path; gs:// of a bucket works as well
    description="Initial version of the awesome model.",
)
print(f"Model uploaded: {model_resource.resource_name}")

# Upload the new version
model_resource_v2 = model_registry.upload_model(
    display_name="MyAwesomeModel",  # Same display name to create a new version
    artifact_uri="my_model_v2.mar",
    description="Second version with more neurons in the first layer.",
)
print(f"Model version 2 uploaded: {model_resource_v2.resource_name}")
assert model_resource_v2.resource_name == model_resource.resource_name

# List all versions of the model
all_models = model_registry.list_models(filter='display_name="MyAwesomeModel"')
for model in all_models:
    print(f"Model Name: {model.display_name}, Resource Name: {model.resource_name}")
for version in model_registry.list_versions("MyAwesomeModel"):
    print(f"Version {version.version_id}: {version.version_description}")

# The latest version, a specific one by its id, and one by its alias
assert model_registry.get_latest("MyAwesomeModel").version_id == "2"
assert model_registry.get_model("MyAwesomeModel@1").version_id == "1"
model_registry.set_alias("MyAwesomeModel@1", "stable")
assert model_registry.get_model("MyAwesomeModel@stable").version_id == "1"

# Deploy a specific version
rows = np.random.default_rng(0).random((4, INPUTS), dtype="float32")
endpoints = model_registry.endpoints
endpoint = model_registry.deploy("MyAwesomeModel@1", "awesome")
before = endpoints.predict(endpoint, rows)
assert before.version_id == "1"

# A/B: half of the requests go to the second version
endpoint = model_registry.deploy("MyAwesomeModel@2", endpoint, traffic_percent=50)
seen = [endpoints.predict(endpoint, rows).version_id for _ in range(10)]
assert sorted(seen) == ["1"] * 5 + ["2"] * 5
print(f"A/B: {seen}")

# The second version is good: it gets everything. It is not: roll back, twice
endpoints.set_traffic(endpoint, {"v2": 100})
endpoints.rollback(endpoint)
endpoints.set_traffic(endpoint, {"v1": 100})
after = endpoints.predict(endpoint, rows)
assert after.version_id == "1"
assert np.array_equal(after.numpy(), before.numpy())
print("rolled back to version 1, with the same predictions")

endpoints.delete(endpoint, force=True)
