from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from normexp.views.runs import load_runs
from normexp.views.sentences import of_figure, question, summary


def test_a_sweep_in_three_sentences(sweep: Path) -> None:
    assert summary(load_runs(sweep)) == [
        "Outcomes of the 17 runs that completed: 7 trained, 1 partial, 8 stuck and 1 diverged.",
        "With all seeds trained: post_ln at depth 6; pre_ln at depth 6 and 12; no_residual at no depth.",
        "Lowest mean final loss: 0.210 ± 0.014 nats per token (depth 6, pre_ln).",
    ]


def test_no_mean_over_runs_that_survived(sweep: Path) -> None:
    """The diverged seed of post_ln at depth 12 has no final loss: that configuration has none either."""
    frame = load_runs(sweep)
    here = frame[(frame["depth"] == 12) & (frame["variant"] == "post_ln")].reset_index(drop=True)
    assert summary(here) == ["Outcomes of the 2 runs that completed: 1 partial and 1 diverged."]
    assert "post_ln not finite" in of_figure("loss_curves", frame[frame["depth"] == 12].reset_index(drop=True))


def test_one_run_has_its_outcome(make_sweep: Callable[..., Path]) -> None:
    assert summary(load_runs(make_sweep(depth=[6], variant=["pre_ln"]))) == ["Outcome: trained."]


def test_nothing_is_said_of_what_is_not_finished(make_sweep: Callable[..., Path]) -> None:
    assert summary(load_runs(make_sweep(depth=[6], variant=["pre_ln"], state=["failed"]))) == []


def test_nothing_trained_is_not_listed(make_sweep: Callable[..., Path]) -> None:
    said = summary(load_runs(make_sweep(depth=[6, 12], variant=["no_residual"])))
    assert said[0] == "Outcomes of the 2 runs that completed: 2 stuck."
    assert not any("trained" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        ("loss_curves", "Final loss at depth 12 (nats per token): post_ln 1.200, pre_ln 0.250."),
        ("gradient_norms", "Gradient norm of the last layer over the first at step 1, feed-forward sub-layers of the"),
        ("something_else", ""),
    ],
)
def test_a_figure_has_a_sentence(stem: str, said: str, make_sweep: Callable[..., Path]) -> None:
    found = of_figure(stem, load_runs(make_sweep(depth=[6, 12], variant=["post_ln", "pre_ln"])))
    assert found.startswith(said) and bool(found) == bool(said)  # noqa: PT018


def test_a_ratio_is_computed_from_the_table(make_sweep: Callable[..., Path]) -> None:
    """Last over first layer of the decoder, at step 1."""
    folder = make_sweep(depth=[6], variant=["post_ln", "pre_ln"])
    rows = pd.read_parquet(next(folder.glob("*pre_ln*")) / "layers.parquet")
    at = (rows["step"] == 1) & (rows["stack"] == "decoder") & (rows["site"] == "feed_forward")
    norms = rows[at & (rows["parameter"] == "")].set_index("layer")["value"]
    assert f"pre_ln {norms[6] / norms[1]:.2g}." in of_figure("gradient_norms", load_runs(folder))


@pytest.mark.parametrize(
    ("last", "said"), [(900.4, "900"), (1234.0, "1,200"), (0.0321, "0.032"), (1.26, "1.3"), (3e7, "3e+07")]
)
def test_a_ratio_is_a_plain_number(last: float, said: str, make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6], variant=["post_ln"])
    (path,) = folder.glob("*/layers.parquet")
    rows = pd.read_parquet(path)
    rows.loc[rows["layer"] == 1, "value"], rows.loc[rows["layer"] == 6, "value"] = 1.0, last
    rows.to_parquet(path, index=False)
    assert of_figure("gradient_norms", load_runs(folder)).endswith(f": post_ln {said}.")


def test_a_figure_of_some_runs_speaks_of_them(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6], variant=["post_ln", "pre_ln"], lr=[1e-3, 2e-3], init=["a", "b"])
    assert ", depth 6, lr 2e-3: post_ln" in of_figure("gradient_norms-init=a", load_runs(folder))


def test_the_question_names_what_is_swept(make_sweep: Callable[..., Path]) -> None:
    frame = load_runs(make_sweep(depth=[6], variant=["post_ln"], lr=[1e-3, 2e-3]))
    assert question(frame) == (
        "How does post_ln train at learning rate 1e-3 and 2e-3 on translation (cldr_dates), within 100 steps?"
    )


def test_runs_that_are_no_seeds_of_each_other_are_not_averaged(make_sweep: Callable[..., Path]) -> None:
    """Depth has the columns and the variant the colours, so two learning rates are rows, not seeds."""
    frame = load_runs(make_sweep(depth=[6, 12], variant=["post_ln", "pre_ln"], lr=[1e-3, 2e-3]))
    assert of_figure("loss_curves", frame) == of_figure("gradient_norms", frame) == ""
    assert not any(each.startswith("With all seeds trained") for each in summary(frame))


def test_a_seed_that_ended_early_leaves_no_ratio(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(depth=[6], variant=["post_ln", "pre_ln"], seed=[0, 1])
    path = min(folder.glob("*pre_ln*/layers.parquet"))
    rows = pd.read_parquet(path)
    rows[rows["step"] > 1].to_parquet(path, index=False)
    assert "pre_ln not measured in all seeds." in of_figure("gradient_norms", load_runs(folder))


def test_a_seed_that_failed_leaves_no_mean(make_sweep: Callable[..., Path]) -> None:
    frame = load_runs(make_sweep(depth=[6], variant=["post_ln", "pre_ln"], seed=[0, 1]))
    frame.loc[frame["variant"] == "pre_ln", ["outcome", "final_loss", "state"]] = None, None, "failed"
    frame.loc[(frame["variant"] == "pre_ln") & (frame["seed"] == 0), "final_loss"] = 0.1
    assert "pre_ln not complete." in of_figure("loss_curves", frame)
    assert not any("pre_ln" in each for each in summary(frame) if each.startswith("Lowest"))
