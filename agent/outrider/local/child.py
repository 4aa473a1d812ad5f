"""The child process that runs llama.cpp: a script that imports nothing of Outrider.

It reads one JSON line with its settings from stdin, answers with one JSON line on stdout (``url`` or
``error``), and lives until stdin closes. So it ends with its parent however that ends, and killing it harms
nothing.
"""

import json
import os
import sys
from typing import Any


def start(settings: dict[str, Any]) -> Any:
    """A llama.cpp server on loopback at a free port, with its unsafe defaults switched off."""
    import xllamacpp  # pyright: ignore[reportMissingTypeStubs]

    llama: Any = xllamacpp  # its extension module has no types
    params = llama.CommonParams()
    params.model.path = settings["path"]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [settings["key"]]
    params.cors_origins, params.cors_credentials = "http://127.0.0.1", False
    params.ui = params.endpoint_slots = params.endpoint_metrics = params.endpoint_props = False
    params.n_ctx, params.n_parallel = settings["context"], settings["slots"]
    params.n_predict = settings["max_tokens"]
    # more threads than free cores made this model 3 to 30 times slower
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers, params.fit_params, params.cache_ram_mib = 0, False, 0
    params.sse_ping_interval, params.verbosity = 1, 0
    if settings["template"]:
        params.chat_template = settings["template"]
    else:
        params.use_jinja = True
    return llama.Server(params)


def main() -> None:
    """Serve until stdin closes."""
    settings = json.loads(sys.stdin.buffer.readline())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp may print; the answer line must stay alone on stdout
    try:
        server = start(settings)
        answer = {"url": server.listening_address}
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tells it
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
    if "url" in answer:
        sys.stdin.buffer.read()
    os._exit(0)  # at once: an orderly end waits for open streams


if __name__ == "__main__":
    main()
