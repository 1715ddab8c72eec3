"""vLLM as the engine: rollouts, interventions, activations and likelihoods in one load of weights.

Nothing here imports vLLM before `vllm_loading` has set its environment. The worker's side is
`block_hooks` and what it uses; the driver's side is `vllm_backend`.
"""
