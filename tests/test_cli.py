"""The command line: what it prints, how it refuses, how it ends."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from normexp.config.compose import Composer
from normexp.views.variants_table import FAMILIES, family_of, list_variants
from tests.support.cli import in_process
from tests.support.runs import TINY, normexp

HEAVY = ("torch", "hydra", "omegaconf", "pandas", "numpy", "pyarrow", "datasets", "matplotlib", "tensorboard", "joblib")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working directory, with results in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NORMEXP_RESULTS", raising=False)
    return tmp_path


def said_and_loaded(words, folder) -> tuple[str, set[str]]:
    """What a command prints, and the modules that it imports, in a process of its own."""
    code = (
        "import sys\nfrom normexp.__main__ import main\n"
        f"sys.argv = ['normexp', *{words}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('loaded:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True, check=True)
    said, _, loaded = done.stdout.partition("loaded:")
    return said, set(loaded.split())


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["sweep", "--help"], ["--version"], []])
def test_help_imports_nothing_heavy(words, tmp_path):
    said, loaded = said_and_loaded(words, tmp_path)
    assert said.strip()
    assert "typer" in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.slow
def test_a_dry_run_of_many_runs_loads_no_torch(tmp_path):
    """Which alone takes seconds."""
    line = ["sweep", "depth=1", "variant=post_ln", "seed=range(500)", "--dry-run"]
    said, loaded = said_and_loaded(line, tmp_path)
    assert "500 runs in" in said
    assert not {"torch", "pandas", "matplotlib"} & loaded


BAD_INPUT = [
    ("sweep dpeth=6", "dpeth is not a key; did you mean depth?"),
    ("sweep depth", "depth must be KEY=VALUE, for example depth=6"),
    ("sweep -m depth=6,12", "-m is not an option; normexp sweep depth=6,12 runs every combination"),
    ("train --cfg job", "--cfg is not an option; normexp show --all prints the config of a run"),
    ("sweep experiment=mine", "experiment=mine needs --config-dir DIR, a folder with experiment/NAME.yaml"),
    ("sweep depth=6,", "depth=6, must not end in a comma; a list of values has no spaces, as in depth=6,12"),
    ("sweep depth=[6", r"depth=\[6 cannot be read: \[6 is not allowed there"),
    ("compare nothing here", "A must be an existing folder with runs; got nothing"),
    ("sweep variant=prelnn", "variant=prelnn does not exist; did you mean pre_ln?"),
    ("sweep variant=post_ln,nothing_like_it", "variant must be one of .*, pre_ln, .*; got nothing_like_it"),
    ("sweep depth=oops", "depth must be a whole number; got oops"),
    ("sweep depth=0", "depth must be at least 1; got 0"),
    ("sweep depth=6,0", "depth must be at least 1; got 0"),
    ("sweep depth=[1", r"depth=\[1 cannot be read: "),
    ("sweep seed=range(0)", r"seed=range\(0\) must have at least one value"),
    ("sweep lr=-1", "lr must be greater than 0; got -1.0"),
    ("sweep lr=nan", "lr must be a finite number; got nan"),
    ("sweep --config-dir nowhere", "--config-dir must be a readable folder .*; got nowhere"),
    ("sweep --config-dir /etc/hosts", "--config-dir must be a readable folder .*; got /etc/hosts"),
    ("sweep hydra/launcher=slrm", "hydra/launcher must be one of basic.*; got slrm"),
    ("train depth=6,12", "depth must have one value here; `normexp sweep` takes several"),
    ("train norm.eps=oops", "norm.eps must be a number; got oops"),
    ("train norm.epsilon=1", "norm.epsilon is not an option of norm=layer_norm; it has eps"),
    ("train model.wdith=3", "model.wdith is not a key; did you mean model.width?"),
    ("train model.name=x", "model.name is not a key"),
    ("train model.width=65", "model.width must be a multiple of model.heads=4; got 65"),
    ("train variant=plain norm=rms_norm", "norm is not used by variant=plain; remove it"),
    ("train attention=all", "attention must be one of all_attention, plain; got all"),
    (
        "train attention=all_attention variant=macaron",
        "model.feed_forward must be at least 1 with variant=macaron; got 0",
    ),
    ("train model.feed_forward=0 model.activation=gelu", "model.activation is not used with model.feed_forward=0"),
    ("train training.batch_tokens=10", "training.batch_tokens must be at least 20, the size of .*; got 10"),
    ("train model.max_length=5", "model.max_length must be at least 11, the size of .*; got 5"),
    (
        "train variant=ngpt model.attention_norm=qk",
        "model.attention_norm=qk is not used by variant=ngpt, which has its own modules there; remove it",
    ),
    ("sweep variant=[pre_ln,post_ln]", "variant must be one name; variant=NAME,NAME runs one after the other; got "),
    ("train attention=[plain]", "attention must be one name"),
    ("train addon=prores addon.prores=3", "addon.prores must be set as addon.prores.OPTION=VALUE; got 3"),
    ("train probes=3", "probes must be set as probes.NAME.OPTION=VALUE; got 3"),
    ("train probes.gradient_norm=3", "probes.gradient_norm must be set as probes.gradient_norm.OPTION=VALUE; got 3"),
    (
        "train data.path=~/x.csv",
        ".*; to take it as text, write 'data.path=\"~/x.csv\"'",
    ),
    ("train data.pairs=5 variant=hyper_connections variant.streams=2", "data.pairs must be at least 10; got 5"),
    ("train data.source=xx", "data.source must be a CLDR language code"),
    ("train optimizer.betas=3", "optimizer=adam does not accept its options"),
    ("sweep results=a,b", "results must have one value: it does not change what a run computes"),
    ("sweep training.threads=1,2", "training.threads must have one value: it does not change what a run computes"),
    ("sweep --name figures", "name must not be figures, which is a folder of figures or jobs in every sweep"),
    ("sweep --pool bogus --dry-run", "--pool must be one of local, slurm, ray, hydra; got bogus"),
    ("sweep --submit --dry-run", "--submit needs --pool slurm"),
    ("train data._pins_=3", "data._pins_ is not a key"),
    ("train variant._contents_=3", "variant._contents_ is not a key"),
    (f"train variant.foo={'{a:' * 600}1{'}' * 600}", "variant.foo=.* cannot be read: it is nested too deeply"),
    ("train variant=keel norm=none", "norm=none cannot be used with variant=keel: its stream would grow without bound"),
    (
        "train norm=power_norm training.amp=fp16 training.device=cpu",
        "norm=power_norm cannot be used with training.amp=fp16",
    ),
    (
        "train task=classification variant=per_stack variant.decoder=deep_norm",
        "variant.decoder is not used by task=classification, which has no decoder; remove it",
    ),
    ("train config_dirs=[x]", "config_dirs cannot be set as a key; use --config-dir DIR"),
    ("train task=classification model.decoder_depth=3", "model.decoder_depth is not used by task=classification"),
    ("train warmup=200%", r"warmup must be between 0 and steps=400; got 200% \(800 steps\)"),
    ("train warmup=soon", "warmup must be a number of steps or a share such as 10%; got soon"),
    ("train training.compile=maybe", "training.compile must be true or false; got maybe"),
    ("train training.device=gpu", "training.device must be auto, cpu or a device of this machine; got gpu"),
    ("train task=translate", "task=translate does not exist; did you mean translation?"),
    ("train probe=[nosuch]", r"probe must be one of activation, .*, update_shift; got nosuch"),
    ("probe probe=stream,dependency", r"probe must be one list, for example probe=\[stream,dependency\]"),
    ("probe probe=[]", "probe must name at least one probe when steps=0; got "),
    ("sweep steps=0 probe=[]", "probe must name at least one probe when steps=0; got "),
    ("train probes.stream.noise=1", r"probes.stream is set, but probe=\[…\] does not name stream"),
    ("train probe=[stream] probes.stream.noise=1", "probes.stream.noise is not an option of probe=stream"),
    ("show depth=0", "depth must be at least 1; got 0"),
    ("results nowhere", "DIR must be an existing folder with runs; got nowhere"),
    ("figures nowhere", "DIR must be an existing folder with runs; got nowhere"),
    ("results --csv --markdown", "--csv and --markdown cannot be used together"),
    ("train results=/dev/null", "results must be a folder that can be created; got /dev/null"),
    ("sweep depth=1,2 results=/dev/null", "results must be a folder that can be created; got /dev/null"),
    ("sweep --name=my/sweep", "name must consist of letters, digits and . _ [+] -; got 'my/sweep'"),
    ("reproduce dong2021 --quick --out /dev/null", "--out must be a folder that can be created; got /dev/null"),
    ("reproduce dong2021 --seeds 1", "--seeds must be at least 2; got 1"),
    ("reproduce dong2021 --at-most 10", "--at-most is only used by --until-decided"),
    ("reproduce dong2020", "study=dong2020 does not exist; did you mean dong2021?"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD_INPUT, ids=[words for words, _ in BAD_INPUT])
def test_bad_input_is_one_sentence(words, sentence, here):
    done = in_process(*words.split())
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert re.search(sentence.replace("?", r"\?"), done.stderr), done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_bad_input_in_a_process_ends_with_exit_code_2(tmp_path):
    done = normexp("sweep", "depth=0", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: depth must be at least 1; got 0\n")
    assert list(tmp_path.iterdir()) == []


def test_unknown_option_is_bad_input_too(here):
    assert in_process("sweep", "--job=2").exit_code == 2
    assert in_process("sweeep").exit_code == 2
    assert list(here.iterdir()) == []


def test_last_value_of_a_key_counts_and_is_named(here):
    """Hydra takes it without a word; whoever writes depth=6 depth=12 may want both."""
    planned = in_process("sweep", "depth=6,12", "variant=pre_ln", "seed=3", "depth=18", "--dry-run")
    assert planned.exit_code == 0
    assert "note: depth=18 replaces depth=6,12; several values are one list, as in depth=6,12" in planned.stderr
    assert "1 run in" in planned.stdout
    assert "depth18-" in planned.stdout
    assert in_process("show", "depth", "depth").stderr == ""  # nothing is replaced


@pytest.mark.slow
def test_show_prints_graph_constants_size_and_keys(here):
    shown = in_process("show", "--all", *TINY, "variant=pre_ln", "depth=2")
    assert shown.exit_code == 0
    assert "variant:\n  name: pre_ln\n" in shown.stdout
    assert "  encoder_depth: 2\n" in shown.stdout
    assert shown.stdout.startswith("pre_ln: x ← x + F(LN(x)), LN at the end\n")
    assert "  Xiong et al. 2020, On Layer Normalization in the Transformer Architecture, https://" in shown.stdout
    assert "  decoder layers 1–2\n    h₁ = x + A(LN(x))\n    h₂ = h₁ + C(LN(h₁), memory)\n" in shown.stdout
    assert "Constants at this depth:\n  none\n" in shown.stdout
    assert "Parameters: 12,048\n" in shown.stdout
    assert "Baselines of cldr_dates: unigram 2.9" in shown.stdout
    assert shown.stdout.index("Parameters") < shown.output.index("variant:\n")
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_show_lists_only_what_differs_from_the_defaults(here):
    shown = in_process("show", "variant=pre_ln", "norm.eps=0.5", "depth=2").output
    assert shown.endswith(
        "Settings other than the defaults:\n  depth: 2 (default 6)\n  variant: pre_ln (default post_ln)\n"
        "  norm.eps: 0.5 (default 1e-05)\nnormexp show --all prints every setting; normexp show KEY explains one.\n"
    )
    assert "All settings are the defaults." in in_process("show").output
    assert "model.fix_norm: True (default False)\n" in in_process("show", "model.fix_norm=true").output


def test_show_explains_a_key(here):
    assert in_process("show", "lr").output.startswith("lr: peak learning rate\n  default: 1.5e-3\n")
    wrong = in_process("show", "leraning")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("error: leraning is not a key")


@pytest.mark.slow
def test_show_draws_layers_without_a_feed_forward(here):
    tiny = [key for key in TINY if not key.startswith("model.feed_forward")]
    shown = in_process("show", "--all", *tiny, "attention=all_attention", "model.persistent=32").output
    assert "  feed_forward: 0\n  persistent: 32\n" in shown
    inside = "    inside A: 32 persistent keys and values per head in addition to the tokens'\n"
    assert f"  encoder layer 1\n    x ← LN(x + A(x))\n{inside}  encoder closes\n" in shown
    decoder = "    h₁ = LN(x + A(x))\n    x ← LN(h₁ + C(h₁, memory))\n"
    assert f"  decoder layer 1\n{decoder}{inside}  decoder closes\n" in shown
    # What post_ln has with as wide a feed-forward, less that sub-layer's biases and norm in both layers.
    assert f"Parameters: {6_416 - 2 * (32 + 16 + 2 * 16):,}\n" in shown


def test_help_lists_what_the_groups_offer():
    shown = in_process("train", "--help").output
    assert "attention  all_attention, plain" in shown
    assert "model  base, small, tiny" in shown


@pytest.mark.slow
def test_show_prints_constants_from_data_and_depth(here):
    shown = in_process("show", *TINY, "variant=admin").output
    assert "encoder omega, at every site: 1 (set from one batch before training)" in shown
    shown = in_process("show", *TINY, "variant=sub_ln", "depth=3").output
    assert "decoder feed_forward fc1: initial weights × 1.482" in shown


def test_variants_has_one_line_per_variant(here):
    listed = in_process("variants").output.splitlines()
    (post_ln,) = (line for line in listed if line.startswith("post_ln"))
    name, equation, paper, verified, family, link = re.split(" {2,}", post_ln)
    assert (name, equation, paper, family) == ("post_ln", "x ← LN(x + F(x))", "Vaswani et al. 2017", "Post-LN")
    assert verified.startswith("torch.nn")
    assert link == "https://arxiv.org/abs/1706.03762"
    names = [line.split()[0] for line in listed[1:]]
    known = " ".join(FAMILIES.values()).split()
    assert names[: len(known)] == known
    assert sorted(names) == sorted(Composer("train").options("variant"))


@pytest.mark.slow
def test_variants_searches_names_equations_and_papers(here):
    names = [line.split()[0] for line in in_process("variants", "Hyper").output.splitlines()[1:]]
    assert {"hyper_connections", "mhc"} <= set(names)
    assert "post_ln" not in names
    wrong = in_process("variants", "zzz")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)


def test_variants_has_one_line_each_at_80_columns(monkeypatch):
    monkeypatch.setattr("normexp.views.variants_table.Console", lambda: Console(force_terminal=True, width=80))
    drawn = Console(width=80, record=True, file=io.StringIO())
    drawn.print(list_variants(Composer("train")))
    lines = drawn.export_text().splitlines()
    variants = Composer("train").options("variant")
    assert len(lines) == 2 + len({*map(family_of, variants)}) + len(variants)
    assert lines[-1].startswith("Papers: normexp show variant=NAME")
    assert any("…" in line for line in lines)
    assert all(cell_len(line) <= 80 for line in lines)


@pytest.mark.slow
def test_dry_run_prints_the_runs_and_their_cost(here):
    done = in_process("sweep", *TINY, "depth=1,2", "variant=post_ln", "--dry-run", "--jobs=2")
    assert done.exit_code == 0
    rows = [line.split() for line in done.output.splitlines() if line.startswith("depth0")]
    assert [row[0].rpartition("-")[0] for row in rows] == ["depth01", "depth02"]
    assert [row[1:3] for row in rows] == [["6,416", "20"], ["11,984", "20"]]
    assert all(re.fullmatch(r"\d+:\d\d", row[3]) and row[4:] == ["to", "do"] for row in rows)
    assert "2 runs in" in done.output
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_a_dry_run_of_probes_tells_sizes_and_no_time(here):
    done = in_process("probe", *TINY, "steps=0", "depth=1,2", "variant=post_ln", "--dry-run")
    assert done.exit_code == 0
    rows = [line.split() for line in done.output.splitlines() if line.startswith("depth0")]
    assert [row[1:] for row in rows] == [["6,416", "0", "–", "to", "do"], ["11,984", "0", "–", "to", "do"]]
    assert "about" not in done.output
    assert list(here.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_probe_ends_with_its_readings_and_figures(here):
    done = in_process("probe", *TINY, "steps=0", "variant=pre_ln", "probe=[gradient_norm,stream,jacobian]")
    assert done.exit_code == 0
    lines = [line.split() for line in done.output.splitlines()]
    columns = [word for stack in ("encoder", "decoder") for word in (stack, "first", "layer", stack, "last", "layer")]

    def row_of(statistic: str) -> int:
        return next(i for i, line in enumerate(lines) if line and line[0].rstrip(":") == statistic)

    for statistic in ("grad_norm", "stream_norm"):
        at = row_of(statistic)
        assert lines[at + 1] == columns
        assert len(lines[at + 2]) == 4
    assert lines[row_of("jacobian_max") + 1] == ["encoder", "decoder"]
    (folder,) = (path.parent for path in here.glob("results/probe/*/status.json"))
    drawn = {path.name for path in (folder / "figures").glob("*.png")}
    assert {"gradient_norms.png", "probe_stream_norm.png"} <= drawn
    assert not any(name.startswith(("loss", "probe_jacobian")) for name in drawn)
    assert all(name in done.output for name in drawn)

    table = in_process("results").output
    assert "stream_norm" in table
    assert table in done.output
    assert all(name in in_process("figures").output for name in drawn)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pdf", "no_workers")
def test_a_run_that_is_also_probed_ends_with_both(here):
    done = in_process("train", *TINY, "probe=[stream]")
    assert done.exit_code == 0
    assert "stuck" in done.output
    assert all(f"{name}.png" in done.output for name in ("loss_curves", "probe_stream_norm"))


@pytest.mark.slow
@pytest.mark.usefixtures("no_workers")
def test_readings_without_layers_are_listed_not_drawn(here):
    done = in_process("probe", *TINY, "steps=0", "variant=pre_ln", "probe=[jacobian]")
    assert done.exit_code == 0
    assert "jacobian_max" in done.output
    assert ".png" not in done.output
    drawn = in_process("figures")
    assert drawn.exit_code == 2
    assert re.fullmatch(r"error: nothing to draw in .*: no run has recorded .*\n", drawn.stderr)


@pytest.mark.slow
def test_train_ends_with_its_table_and_figures(here):
    done = in_process("train", *TINY, "--name=mine")
    assert done.exit_code == 0
    (folder,) = (path.parent for path in here.glob("results/mine/*/status.json"))
    assert "stuck" in done.output
    assert "completed" in done.output
    figures = {path: path.stat().st_mtime_ns for path in (folder / "figures").iterdir()}
    names = {f"{name}.{suffix}" for name in ("loss_curves", "gradient_norms") for suffix in ("png", "svg", "pdf")}
    assert {path.name for path in figures} == names
    assert all(path.name in done.output for path in figures)

    table = in_process("results", str(folder)).output
    assert table.strip()
    assert table in done.output
    assert "stuck" in in_process("results").output

    (row,) = csv.DictReader(io.StringIO(in_process("results", "--csv").output))
    result = json.loads((folder / "status.json").read_text())
    assert row["variant"] == "post_ln"
    assert row["outcome"] == result["outcome"] == "stuck"
    assert float(row["final_loss"]) == result["final_loss"]
    assert float(row["baseline.position_only"]) == result["baselines"]["position_only"]

    nowhere = in_process("figures", str(folder), "--out=/dev/null")
    assert nowhere.exit_code == 2
    assert "--out must be a folder that can be created; got /dev/null" in nowhere.output
    drawn = in_process("figures", str(folder))
    assert drawn.exit_code == 0
    assert all(path.name in drawn.output for path in figures)
    assert all(path.stat().st_mtime_ns > then for path, then in figures.items())


@pytest.mark.slow
def test_closed_streams_end_in_no_traceback(tmp_path):
    """Python has no sys.stdout then, and the first file that is opened would get what is printed."""
    line = f"{sys.executable} -m normexp show --all"
    done = subprocess.run(f"{line} >&- 2>err", shell=True, cwd=tmp_path, check=True)
    assert (done.returncode, (tmp_path / "err").read_text()) == (0, "")
    assert subprocess.run(f"{line} depth=0 2>&-", shell=True, cwd=tmp_path, stdout=subprocess.PIPE).returncode == 2
