"""Chat templates with the properties of real ones, reduced to what the tests need."""

# SmolLM2, Qwen 2.5: inserts a default system message.
CHATML_DEFAULT = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
    "<|im_start|>system\nYou are tiny<|im_end|>\n{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Llama 3: BOS in the template, a system turn with dates whatever comes, contents trimmed.
LLAMA3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set system = messages[0]['content'] | trim %}{% set messages = messages[1:] %}"
    "{% else %}{% set system = '' %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ strftime_now('%d %b %Y') }}\n\n"
    "{{ system }}<|eot_id|>{% for m in messages %}"
    "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
# Gemma 2: refuses the system role and turns that do not alternate; "model" for "assistant".
GEMMA2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# Qwen 3: an empty think block before the last answer, and in the prompt when thinking is off.
_QWEN3_TURNS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'].lstrip('\n') }}<|im_end|>\n{% endfor %}"
)
QWEN3 = (
    f"{_QWEN3_TURNS}{{% if add_generation_prompt %}}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
# Qwen 3 that always thinks: the generation prompt opens the think block.
QWEN3_THINKING = (
    f"{_QWEN3_TURNS}{{% if add_generation_prompt %}}<|im_start|>assistant\n<think>\n{{% endif %}}"
)
# R1's distillations: the prompt opens the think block, and old answers lose theirs.
_R1_TURNS = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "<|im_start|>assistant\n{{ m['content'].split('</think>')[-1] }}<|im_end|>{% else %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>{% endif %}{% endfor %}"
)
R1_DISTILLED = (
    f"{_R1_TURNS}{{% if add_generation_prompt %}}<|im_start|>assistant\n<think>\n{{% endif %}}"
)
# R1 itself leaves it to the model to open the block.
R1 = f"{_R1_TURNS}{{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}"
# Mistral: no system turn; system text disappears where it is not expected.
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "[INST] {{ m['content'] }} [/INST]{% elif m['role'] == 'assistant' %}"
    " {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
# Mistral 0.3: system text before the last turn if that is the user's, nowhere if not.
MISTRAL3 = (
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}"
    "{% set messages = messages[1:] %}{% endif %}{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'user' %}[INST] {{ system ~ '\n\n' if loop.last and system is defined }}"
    "{{ m['content'] }}[/INST]{% else %} {{ m['content'] | trim }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
# Gemma 3: as Gemma 2, but takes a system message and puts it before the first user text itself.
GEMMA3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set before = messages[0]['content'] ~ '\n\n' %}{% set messages = messages[1:] %}"
    "{% else %}{% set before = '' %}{% endif %}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ before if loop.first }}{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# Phi-3: a token for each role; an end of text where no answer is asked for.
PHI3 = (
    "{% set tokens = {'system': '<|system|>', 'user': '<|user|>', 'assistant': '<|assistant|>'} %}"
    "{% for m in messages %}{{ tokens[m['role']] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
# Phi-4: a token and no line between role and content, nor between turns.
PHI4 = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}<|im_sep|>{{ m['content'] }}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}"
)
# OLMo 2: one token begins the text and ends every answer; roles are plain text (but for the
# assistant's here); no line after the last answer.
OLMO2 = (
    "<|endoftext|>{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}<|endoftext|>{{ '' if loop.last else '\n' }}"
    "{% else %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
# SmolLM3: a system turn with date and reasoning mode around ours or its own instructions, flags in
# ours obeyed and cut out; an empty think block before every answer when thinking is off.
SMOLLM3 = (
    "{% set think = enable_thinking is not defined or enable_thinking %}{% set own = 'Be smol.' %}"
    "{% if messages[0]['role'] == 'system' %}{% set own = messages[0]['content'] %}"
    "{% set think = '/think' in own or think and '/no_think' not in own %}"
    "{% set own = own.replace('/no_think', '').replace('/think', '').rstrip() %}"
    "{% set messages = messages[1:] %}{% endif %}"
    "<|im_start|>system\n## Metadata\n\nToday Date: {{ strftime_now('%d %B %Y') }}\n"
    "Reasoning Mode: {{ '/think' if think else '/no_think' }}\n\n"
    "## Custom Instructions\n\n{{ own }}\n\n<|im_end|>\n"
    "{% set block = '' if think else '<think>\n\n</think>\n' %}{% for m in messages %}"
    "<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}"
    "{{ block ~ m['content'].lstrip('\n') }}{% else %}{{ m['content'] }}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{{ block }}{% endif %}"
)
# gpt-oss: its own system turn, ours as the developer's; answers stand in the final channel, which
# the generation prompt does not open, so that a model begins with its analysis.
GPT_OSS = (
    "<|start|>system<|message|>You are oss.\nCurrent date: {{ strftime_now('%Y-%m-%d') }}\n\n"
    "# Channels: analysis, final.<|end|>{% if messages[0]['role'] == 'system' %}"
    "<|start|>developer<|message|># Instructions\n\n{{ messages[0]['content'] }}\n\n<|end|>"
    "{% set messages = messages[1:] %}{% endif %}{% for m in messages %}"
    "{% if m['role'] == 'assistant' %}{% if loop.last and m['thinking'] %}"
    "<|start|>assistant<|channel|>analysis<|message|>{{ m['thinking'] }}<|end|>{% endif %}"
    "<|start|>assistant<|channel|>final<|message|>{{ m['content'] }}"
    "{{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}"
    "{% else %}<|start|>user<|message|>{{ m['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
# Plain ChatML: no default system message.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
