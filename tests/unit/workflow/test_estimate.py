"""The estimate counts what the nodes really do."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from personae.base.strict_yaml import read_yaml
from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.judging.labelled_set import labelled_items
from personae.workflow import node_params
from personae.workflow.code_digest import code_digest
from personae.workflow.config import Study, load_study
from personae.workflow.config.training_plan import adapters, corpora, trained_traits
from personae.workflow.estimate import estimate_study, load_rates, node_seconds
from personae.workflow.estimate.estimate_table import render
from personae.workflow.estimate.node_work import WorkCounter
from personae.workflow.estimate.nodes_left import nodes_left
from personae.workflow.estimate.rates import RatesError, speed
from personae.workflow.estimate.totals import TABLE_SECONDS, nodes_of
from personae.workflow.stages.persona_parts import role_parts, trait_parts
from personae.workflow.stages.registry import STAGES

ROOT = Path(__file__).resolve().parents[3]


def study(name: str) -> Study:
    return load_study(read_yaml(ROOT / "config" / name), ROOT)


@pytest.fixture(scope="module")
def demo() -> Study:
    return study("demo.yaml")


@pytest.fixture(scope="module")
def paper() -> Study:
    return study("paper.yaml")


def test_the_labelled_set_is_counted_answer_by_answer(demo: Study, paper: Study) -> None:
    rates = load_rates(ROOT / "config/rates.yaml")
    work = WorkCounter(demo, "smollm2_135m", rates).node(
        "calibrate_judges", {"model": "smollm2_135m"}
    )
    items = labelled_items(
        demo.library.labelled, node_params.judged_traits(demo), node_params.judged_roles(demo)
    )
    assert work is not None
    used = node_params.judged_kinds(demo)
    assert work.verdicts == sum(item.rubric.kind in used for item in items) > 100
    read_twice = WorkCounter(paper, "qwen3_32b", rates).node(
        "calibrate_judges", {"model": "qwen3_32b"}
    )
    assert read_twice is not None
    all_traits = labelled_items(
        paper.library.labelled, node_params.judged_traits(paper), node_params.judged_roles(paper)
    )
    assert paper.config.judging.bias_checks
    assert read_twice.verdicts == 2 * sum(item.rubric.kind in used for item in all_traits)


def test_the_likelihood_judge_reads_every_response_under_two_prompts() -> None:
    judged_by_likelihood = {"judging": {"primary": "likelihood", "second": "embedding"}}
    study = load_study(read_yaml(ROOT / "config/demo.yaml") | judged_by_likelihood, ROOT)
    counter = WorkCounter(study, "smollm2_135m", load_rates(ROOT / "config/rates.yaml"))
    at = {"model": "smollm2_135m", "role": "pirate"}
    generated, extracted, judged = (
        counter.node(rule, at)
        for rule in ("generate_role_responses", "extract_role_activations", "judge_role_responses")
    )
    assert generated
    assert extracted
    assert judged
    rubrics = judged.verdicts / generated.responses
    assert judged.read == pytest.approx(2 * rubrics * extracted.read)


def test_allocations_are_counted_by_what_shares_one(paper: Study) -> None:
    found = estimate_study(paper).models[0]
    personas = len(paper.role_names) + 1 + 2 * len(paper.trait_names + paper.space_names)
    # The model reads rollouts again for the vectors, and once more for projections.
    read = math.ceil((len(paper.role_names) + 1 + len(paper.trait_names)) / found.group)
    read += len(role_parts(paper)) + len(trait_parts(paper))
    # Sweep, its choice, steering, ways of steering, monitoring.
    steered = 5 * math.ceil(len(paper.trait_names) / found.group)
    # Capping, its cost, drift, susceptibility, harm, harm link, case studies, reading of tokens,
    # tokens of shown transcripts.
    single = 9
    trained = math.ceil((len(adapters(paper)) + len(trained_traits(paper))) / found.group)
    screened = math.ceil(len(corpora(paper)) / found.group)
    assert found.allocations == (
        math.ceil(personas / found.group) + read + steered + single + trained + screened
    )


def test_only_what_is_left_is_counted(demo: Study, tmp_path: Path) -> None:
    whole = estimate_study(demo).models[0]
    every = nodes_left(demo, tmp_path)
    assert len(every) == whole.nodes + whole.table_nodes
    made = {"code_digest": code_digest("roles/generate_role_responses")}
    for role, facts in (("pirate", made), ("cat", {"code_digest": "of older code"})):
        about = {"rule": "generate_role_responses", **facts}
        about["wildcards"] = f'{{"study": "demo", "model": "smollm2_135m", "role": "{role}"}}'
        path = tmp_path / f"results/demo/smollm2_135m/roles/{role}/responses.parquet"
        tables.write(tables.from_rows([], "role_responses"), path, "role_responses", about)
    left = nodes_left(demo, tmp_path)
    assert every - left == {"generate_role_responses model=smollm2_135m role=pirate"}
    rest = estimate_study(demo, left=left).models[0]
    assert rest.nodes == whole.nodes - 1
    assert rest.responses == whole.responses - 36
    assert rest.disk == whole.disk


def test_a_role_is_counted_by_prompts_questions_and_samples(demo: Study) -> None:
    rates = load_rates(ROOT / "config/rates.yaml")
    section = demo.config.roles
    questions = len(demo.extraction_questions) + len(demo.heldout_questions)
    count = WorkCounter(demo, "smollm2_135m", rates)
    work = count.node("generate_role_responses", {"model": "smollm2_135m", "role": "pirate"})
    assert work is not None
    assert work.responses == section.prompts * questions * section.samples
    tokens = rates.response_fill * section.sampling.max_new_tokens
    assert work.generated == pytest.approx(work.responses * tokens)
    wildcards = {"model": "smollm2_135m", "role": "pirate"}
    extracted = count.node("extract_role_activations", wildcards)
    assert extracted is not None
    assert extracted.vectors == work.responses * demo.models["smollm2_135m"].n_layers


def test_the_demo_is_free_and_the_paper_is_not(demo: Study, paper: Study) -> None:
    free = estimate_study(demo)
    assert free.dollars == 0
    assert all(model.gpu_hours == 0 and model.judge_tokens == 0 for model in free.models)
    dear = estimate_study(paper)
    assert dear.dollars is not None
    by_name = {model.model: model for model in dear.models}
    price = load_rates(ROOT / "config/rates.yaml").judges["gpt-4.1-mini"]
    expected = sum(
        m.judge_tokens * price.input + m.verdict_tokens * price.output for m in dear.models
    )
    assert dear.dollars == pytest.approx(expected / 1e6)
    assert by_name["llama33_70b"].gpu_hours > by_name["gemma2_27b"].gpu_hours > 0
    nodes = [(s.rule, at) for s, at in nodes_of(paper, "gemma2_27b")]
    assert by_name["gemma2_27b"].nodes == len(nodes) == len({str(node) for node in nodes})
    assert 1 <= by_name["gemma2_27b"].group <= len(paper.role_names) + 1


def test_simulated_conversations_are_counted_with_the_auditors_tokens(
    demo: Study, paper: Study
) -> None:
    rates = load_rates(ROOT / "config/rates.yaml")
    at = {"model": "qwen3_32b"}
    work = WorkCounter(paper, "qwen3_32b", rates).node("simulate_conversations", at)
    assert work is not None
    assert work.responses == work.messages == 4 * 5 * 20 * 15
    assert paper.auditor is not None
    message = rates.response_fill * paper.auditor.max_tokens
    answer = rates.response_fill * paper.config.drift.sampling.max_new_tokens
    assert work.auditor_written == pytest.approx(work.messages * message)
    # Each request holds the prompt and, on average, half of the conversation.
    assert work.auditor_read > work.messages * 7 * (message + answer)
    found = estimate_study(paper)
    price = rates.judges["openai/gpt-5-chat"]
    expected = sum(
        m.auditor_read * price.input + m.auditor_written * price.output for m in found.models
    )
    assert found.auditor_dollars == pytest.approx(expected / 1e6)
    assert "Auditor openai/gpt-5-chat: 30,000 user messages" in render(found)
    assert (STAGES["simulate_conversations"], at) in list(nodes_of(paper, "qwen3_32b"))
    assert "Auditor" not in render(estimate_study(demo))
    own = WorkCounter(demo, "smollm2_135m", rates).node("simulate_conversations", at)
    assert own is not None
    assert (own.messages, own.responses) == (0, 4 * 2 * 2)  # the model writes both sides
    most = rates.response_fill * demo.config.drift.sampling.max_new_tokens
    assert own.generated == pytest.approx(2 * own.responses * most)


def test_a_role_costs_more_time_on_a_larger_model(paper: Study) -> None:
    seconds = [
        node_seconds(paper, "generate_role_responses", {"model": model, "role": DEFAULT})
        for model in ("qwen25_7b", "gemma2_27b", "llama33_70b")
    ]
    assert seconds == sorted(seconds)
    assert node_seconds(paper, "choose_trait_layer", {"model": "gemma2_27b"}) == TABLE_SECONDS


def test_a_model_without_a_measured_rate_has_one_with_its_source(paper: Study) -> None:
    rates = load_rates(ROOT / "config/rates.yaml")
    row = paper.models["llama31_8b"]
    known, unknown = speed("llama31_8b", row, rates), speed("my_model", row, rates)
    assert known.source == "measured; load: roofline of 1 x H100 SXM 80 GB"
    assert unknown.source == "roofline of 1 x H100 SXM 80 GB"
    assert (known.generate, known.read) == (643, 13900)
    # The shares of the roofline are those that these measurements give.
    assert unknown.generate == pytest.approx(known.generate, rel=0.35)
    without = rates.model_copy(update={"measured": {}})
    gemma = paper.models["gemma2_27b"]
    line = speed("gemma2_27b", gemma, without)
    assert speed("gemma2_27b", gemma, rates).generate == pytest.approx(line.generate, rel=0.15)


def test_the_table_says_everything(paper: Study) -> None:
    text = render(estimate_study(paper))
    words = ("GPU hours", "CPU hours", "judge tokens", "disk", "group", "USD")
    for word in (*words, "roofline of 2 x H100", "hours of judging"):
        assert word in text


def test_gpu_hours_of_rates_that_were_not_measured_are_marked(demo: Study, paper: Study) -> None:
    text = render(estimate_study(paper))
    marked = {line.split()[0]: "* " in line for line in text.splitlines()[1:6]}
    assert marked == {
        "gemma2_27b": True,  # reading was not measured
        "qwen3_32b": True,
        "llama33_70b": True,
        "qwen25_7b": True,
        "llama31_8b": False,
    }
    assert "* from a rate that was not measured" in text
    assert "*" not in render(estimate_study(demo))


def test_cpu_time_grows_with_the_study_and_the_model(demo: Study, paper: Study) -> None:
    rates = load_rates(ROOT / "config/rates.yaml").cpu
    small = estimate_study(demo).models[0]
    least = (small.nodes + small.table_nodes) * rates.node / 3600
    assert least <= small.cpu_hours < 1.2 * least
    gemma, _, llama = estimate_study(paper).models[:3]
    least = (gemma.nodes + gemma.table_nodes) * rates.node
    longer = 276 * rates.by_values["compute_role_vectors"]
    longer += 35 * rates.by_layers["project_role_responses"]
    longer += rates.by_layers["analyze_persona_space"]
    of_tables = [3600 * found.cpu_hours - least for found in (gemma, llama)]
    assert of_tables[0] >= longer
    assert of_tables[1] > 2 * of_tables[0]


def test_a_study_that_keeps_what_it_needs_fits_a_cluster_and_says_what_it_costs(
    paper: Study,
) -> None:
    needed = estimate_study(paper)
    config = read_yaml(ROOT / "config/paper.yaml")
    everything = estimate_study(load_study({**config, "activations": {"keep": "all"}}, ROOT))
    for small, large in zip(needed.models, everything.models, strict=True):
        assert small.disk.at_rest < 100e9 < 400e9 < large.disk.at_rest
        assert small.disk.peak < 500e9
        assert 1.0 < small.gpu_hours / large.gpu_hours < 1.1
        assert small.responses == large.responses
    llama = needed.models[2]
    rollouts = 276 * 5 * 300
    assert llama.disk.kept == 2 * 8192 * (276 * 60 * 80 + rollouts * 3)
    assert needed.models[0].table_nodes > 50
    assert needed.models[0].judging_hours > 10


def test_bad_rates_are_refused_by_place(tmp_path: Path) -> None:
    path = tmp_path / "rates.yaml"
    path.write_text((ROOT / "config/rates.yaml").read_text().replace("0.7\n", "seven\n", 1))
    with pytest.raises(RatesError, match=r"response_fill: .*'seven'"):
        load_rates(path)
