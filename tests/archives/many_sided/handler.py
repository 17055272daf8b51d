import torch
from ts.handler_utils.utils import send_intermediate_predict_response
from ts.torch_handler.base_handler import BaseHandler

STEPS = 64


class ManySided(BaseHandler):
    """Predicts and explains instances; takes texts and bytes as they come."""

    def handle(self, data, context):
        row = data[0]
        if not isinstance(row, dict):
            return super().handle(data, context)
        body = row.get("body", row)
        if isinstance(body, str):
            return self.stream(body, context)
        if isinstance(body, bytearray):
            context.set_response_header(0, "X-Length", str(len(body)))
            context.set_response_content_type(0, "image/x-reversed")
            return [bytes(reversed(body))]
        seen = context.get_all_request_header(0)
        context.set_response_status(202, "taken", 0)
        return [{"given": body, "headers": seen}]

    def stream(self, text, context):
        words = text.split()
        for word in words[:-1]:
            send_intermediate_predict_response(
                [word + "\n"], context.request_ids, "", 200, context
            )
        return [words[-1]]

    def get_insights(self, tensor_data, raw_data, target):
        # Integrated gradients from zero: the mean gradient along the way, times the way.
        points = (torch.arange(STEPS) + 0.5) / STEPS
        path = (points[:, None] * tensor_data).requires_grad_()
        (gradients,) = torch.autograd.grad(self.model(path).sum(), path)
        shares = (gradients.mean(0) * tensor_data[0]).tolist()
        return {
            "attributions": [
                {
                    "baselineOutputValue": 0.0,
                    "instanceOutputValue": self.model(tensor_data)[0].item(),
                    "featureAttributions": dict(zip("abc", shares, strict=True)),
                }
            ]
        }
