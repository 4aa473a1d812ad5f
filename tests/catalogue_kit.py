"""A small catalogue, in the form in which OpenRouter lists models and their providers."""

import json
from typing import Any

from outrider.testing.fake import FakeOpenRouter, FakeReply

ALL = ["tools", "tool_choice", "response_format", "structured_outputs", "reasoning", "max_tokens", "temperature"]
SAMPLE = ["max_tokens", "temperature"]


def model(name: str, prompt: str = "0.00000006", completion: str = "0.00000024", **more: Any) -> dict[str, Any]:
    """A row of ``/models``."""
    return {
        "id": name,
        "canonical_slug": f"{name}-04-28",
        "name": name.partition("/")[2],
        "created": 1745876478,
        "context_length": 40960,
        "pricing": {"prompt": prompt, "completion": completion},
        "supported_parameters": ALL,
    } | more


def endpoint(tag: str, prompt: str = "0.00000006", completion: str = "0.00000024", **more: Any) -> dict[str, Any]:
    """A provider of a model."""
    return {
        "tag": tag,
        "provider_name": tag.partition("/")[0].title(),
        "context_length": 40960,
        "max_completion_tokens": 8192,
        "pricing": {"prompt": prompt, "completion": completion, "discount": 0},
        "quantization": "fp8",
        "supported_parameters": ALL,
        "supports_tool_choice": {"auto": True, "none": True, "required": False, "function": False},
        "status": 0,
        "uptime_last_30m": 99.87,
        "latency_last_30m": {"p50": 412, "p90": 900},
        "throughput_last_30m": {"p50": 61.5},
    } | more


MODELS = [
    model("qwen/qwen3-14b"),
    model("qwen/qwen3-32b", "0.0000001", "0.0000003"),
    model("qwen/qwen2-vl", "0.00000001", "0.00000001", supported_parameters=SAMPLE),
    model("acme/cheap", "0.00000001", "0.00000002"),
    model("acme/free:free", "0", "0"),
    model("openrouter/auto", "-1", "-1"),
    model("acme/talk", "0.000001", "0.000002", supported_parameters=SAMPLE),
]

ENDPOINTS = [endpoint("deepinfra/fp8"), endpoint("alibaba", "0.00000035", "0.0000042", max_completion_tokens=16384)]


def page(data: Any) -> FakeReply:
    """A page with this data."""
    return FakeReply(body=json.dumps({"data": data}).encode())


def put(server: FakeOpenRouter, name: str = "qwen/qwen3-14b", endpoints: Any = ENDPOINTS, models: Any = MODELS) -> None:
    """The server lists these models, and these providers of one of them."""
    server.pages["/models"] = page(models)
    server.pages[f"/models/{name}/endpoints"] = page({"id": name, "endpoints": endpoints})
