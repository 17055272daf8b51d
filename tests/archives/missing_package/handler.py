import no_such_package_anywhere
from ts.torch_handler.base_handler import BaseHandler


class Handler(BaseHandler):
    def preprocess(self, data):
        return no_such_package_anywhere.clean(data)
