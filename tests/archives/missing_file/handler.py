import json
import os


class Handler:
    def initialize(self, context):
        model_dir = context.system_properties.get("model_dir")
        with open(os.path.join(model_dir, "vocabulary.json")) as f:
            self.vocabulary = json.load(f)

    def handle(self, data, context):
        return [self.vocabulary.get(word) for word in data]
