class First:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        return data


class Second(First):
    pass
