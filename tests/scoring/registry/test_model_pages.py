"""What everybody sees of the reward models, and what admins do with them."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils import timezone

from arena.models import Study
from scoring.metrics import preference
from scoring.models import Decision, Retraining, RetrainingRun, RewardModel
from scoring.registry import live as registry
from scoring.templatetags.coordinates import HEIGHT, nice_ticks
from scoring.templatetags.reward_models import curves_plot, reliability_plot
from scoring.training import gate, retraining
from scoring.wording.numbers import p_value
from tests.casts.measured_model import MARGIN, SYSTEMS, TARGET, history
from tests.casts.reward_models import make_model
from tests.casts.votes import cast


def read(client, address, language="en"):
    answer = client.get(address, headers={"Accept-Language": language})
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def test_all_models_are_listed_the_live_one_first_each_with_figures_and_counts(whole, client):
    for name in ("old", "now"):
        registry.activate(make_model(name), "ada")
    page = read(client, "/models/")
    names = re.findall(r'<h2 id="model-\d"><a href="[^"]+">([^<]+)</a>', page)
    assert names == ["now", "whole+1", "old"]
    test = whole.metrics["test"]
    assert f"{100 * test['accuracy']:.1f} %" in page and f"{test['ece']:.3f}" in page
    assert "400 <span> of 400, ties not counted" in page
    assert page.count("No decided vote from this arena was held out") == 2


@pytest.mark.parametrize(("rate", "says"), [(0.0, False), (0.4, True)])
def test_a_models_page_says_how_far_off_it_is_once_calibrated_and_how_many_votes_follow_nothing(client, db, rate, says):
    calibrated = {"rate": rate, "temperature": 0.5, "n": 150, "ece": 0.0213, "log_loss": 0.6}
    make_model("lapsing", metrics={"test": {**preference.report(MARGIN, TARGET), "calibrated": calibrated}})
    page = read(client, "/models/lapsing/")
    assert "its calibration error on the test votes is 0.021" in page
    assert ("The estimated lapse rate is 40.0 %" in page) == says


def test_a_models_page_says_what_it_is_how_good_it_is_and_on_how_many_votes(whole, client):
    page = read(client, "/models/whole+1/")
    for words in (
        "Licence: Apache-2.0",
        "451 dimensions",
        "Studies: open.",
        "Training: 5,000 votes, Validation: 600 votes, Test: 400 votes",
        "3 votes were left out",
        "By prompt: no prompt is in more than one part",
        "400 decided held-out votes in 10 groups",
        "The validation loss is lowest in epoch 5 of 8: 0.140 nats",
        "One line per part for each of 2 seeds",
    ):
        assert words in page, words
    for kind, names in (("system", SYSTEMS), ("source", ["imported", "open"])):
        section = page.split(f'id="by-{kind}"')[1].split("</section>")[0]
        assert re.findall(r'<th scope="row">(\w+)</th>', section) == sorted(names)
        assert len(re.findall(r"\d % <span> [\d.]+ % to [\d.]+ %", section)) == len(names)
    assert page.count("<path class=") == 8  # two plots, two sides, two seeds
    assert page.count('<circle class="point"') == 12  # ten bins, and the best epoch in each plot of training


def test_a_model_that_was_stored_with_less_has_a_page_too(db, client):
    make_model("bare")
    older = {"n": 35, "n_decided": 31, "accuracy": 0.8, "ece": 0.19, "log_loss": 0.52}
    entries = [{name: value for name, value in entry.items() if name != "seed"} for entry in history((0,), epochs=2)]
    entries[0]["train_accuracy"] = None
    make_model("older", metrics={"test": older, "validation": older}, history=entries, ledger_seq=9)
    nothing = {"n": 4, "n_decided": 0, "accuracy": None, "ece": None, "log_loss": 0.7}
    make_model("ties only", metrics={"test": nothing}, history=entries[:1])
    assert "Trained elsewhere: it has seen no vote" in read(client, "/models/bare/")
    page = read(client, "/models/older/")
    assert "One line per part, epoch by epoch." in page and 'id="by-system"' not in page
    assert "NaN" not in page and "None" not in page.replace("None yet", "")
    assert "was held out to evaluate it" in read(client, "/models/ties only/")
    read(client, "/models/")


def test_an_encoder_that_this_host_does_not_know_leaves_its_page_standing(whole, client):
    RewardModel.objects.update(encoders=[{"key": "cochlea", "revision": "3", "dimension": 64}])
    assert "this host does not have the encoder" in read(client, "/models/whole+1/")


def test_decisions_are_shown_with_the_gates_reasons_and_name_no_person(whole, client):
    live = make_model("before")
    registry.activate(live, "wilhelmina@example.org")
    verdict = gate.judge(MARGIN, np.random.default_rng(3).normal(size=400), TARGET)
    registry.keep(whole, live, "the gate", {**asdict(verdict), "reasons": list(verdict.reasons)})
    default_storage.delete(whole.weights.name)
    registry.activate(whole, "wilhelmina@example.org", force=True)
    registry.roll_back("wilhelmina@example.org")
    pages = read(client, "/models/"), read(client, "/models/whole+1/")
    for page in pages:
        assert "On 400 decided votes that neither model had seen" in page
        assert f"right where the live model was wrong: {verdict.n_only_candidate}" in page
        assert f"wrong where it was right: {verdict.n_only_live};" in page
        assert "Despite a warning" in page
        assert "wilhelmina" not in page and "weights/" not in page
    by_hand, kept = "activated by a person", "rejected by the automatic check"
    acts = ["reactivated by a rollback", by_hand, kept, by_hand]
    assert re.findall("|".join(sorted({*acts})), pages[0]) == acts
    assert "Activated by a person" in pages[1] and "rollback" not in pages[1]


def test_the_figures_and_the_training_come_as_a_file(whole, client):
    answer = client.get("/models/whole+1/data.json")
    assert answer["Content-Disposition"] == 'attachment; filename="model.json"'
    data = json.loads(answer.content)
    assert data["name"] == "whole+1" and data["history"] == whole.history and data["metrics"] == whole.metrics
    assert data["pairs"]["train"] == 5000


def test_an_unknown_model_is_a_404_and_a_name_with_a_slash_has_its_page(db, client):
    assert client.get("/models/nobody/").status_code == client.get("/models/nobody/data.json").status_code == 404
    make_model("team/first")
    assert "team/first" in read(client, "/models/team/first/")
    assert 'href="/models/team/first/"' in read(client, "/models/")


@pytest.mark.parametrize("language", ["de", "fr"])
def test_a_plot_is_drawn_the_same_in_every_language(whole, client, language):
    drawn = [
        re.findall(r' (?:d|cx|cy|x\d?|y\d?)="([^"]*)"', read(client, "/models/whole+1/", code))
        for code in ("en", language)
    ]
    assert drawn[0] == drawn[1]
    assert not any(re.search(r"\d,\d\d?%", place) for place in drawn[0])


def test_the_board_and_the_front_page_lead_to_the_models(study, client):
    from scoring.boards.refit import refit_board

    registry.activate(make_model("jury"), "ada")
    cast(study, "AB")
    refit_board(study)
    assert '<a href="/models/jury/">jury</a>' in read(client, "/boards/open/")
    assert 'href="/models/"' in read(client, "/")


# ---- plots ----


def test_a_curve_begins_at_the_left_ends_at_the_right_and_higher_is_up():
    plot = curves_plot(history((0,)), "loss")
    first, *_, last = re.findall(r"([\d.]+),([\d.]+)", plot["lines"][1]["d"])
    assert (float(first[0]), float(last[0])) == (0, 1000)
    assert float(first[1]) < float(last[1])
    assert (plot["best"]["epoch"], plot["best_x"]) == (5, "57.14%")
    assert 0 <= float(plot["best_y"]) <= HEIGHT


def test_a_long_training_is_drawn_with_fewer_points_and_its_last():
    plot = curves_plot(history((0,), epochs=1000), "loss")
    points = re.findall(r"([\d.]+),([\d.]+)", plot["lines"][0]["d"])
    assert len(points) <= 301 and points[-1][0] == "1000.0"


def test_a_training_without_epochs_or_without_accuracies_draws_nothing():
    assert curves_plot([], "loss") == {"lines": []}
    ties = [
        {"epoch": 1, "train_loss": 0.7, "validation_loss": 0.7, "train_accuracy": None, "validation_accuracy": None}
    ]
    assert curves_plot(ties, "accuracy") == {"lines": []}


def test_a_calibrated_bin_lies_on_the_diagonal():
    one = {"confidence": 0.75, "accuracy": 0.75, "low": 0.7, "high": 0.8, "n": 9, "margin_low": 1, "margin_high": 2}
    plot = reliability_plot([one])
    x, y = float(plot["points"][0]["x"].rstrip("%")), float(plot["points"][0]["y"])
    ends = plot["diagonal"]
    x1, x2 = (float(ends[name].rstrip("%")) for name in ("x1", "x2"))
    assert (x - x1) / (x2 - x1) == pytest.approx((y - float(ends["y1"])) / (float(ends["y2"]) - float(ends["y1"])))


@pytest.mark.parametrize(("low", "high"), [(0.4, 0.8), (0.69, 0.693), (0.1, 12.0), (0.5, 0.5)])
def test_ticks_are_few_and_round_and_enclose_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high - 1e-6
    assert 2 <= len(ticks) <= 7


def test_a_tiny_p_value_is_not_written_as_zero():
    assert [p_value(p) for p in (0.00001, 0.0312, 1.0)] == ["< 0.0001", "= 0.031", "= 1"]


# ---- the admin ----


def test_an_admin_makes_a_model_live_under_their_name_and_is_told_why_not(db, admin_client, admin_user):
    first, second = make_model("first"), make_model("second")
    listing = reverse("admin:scoring_rewardmodel_changelist")

    def act(model):
        answer = admin_client.post(listing, {"action": "activate", "_selected_action": [model.pk]}, follow=True)
        return [str(message) for message in answer.context["messages"]]

    assert act(first) == ["first is live."]
    assert act(first) == ["first is live already: nothing to do."]
    assert Decision.objects.get().by == admin_user.get_username()
    default_storage.delete(second.weights.name)
    assert "second cannot go live here" in act(second)[0]
    assert RewardModel.live() == first


def test_a_models_admin_page_is_for_reading(whole, admin_client):
    page = admin_client.get(reverse("admin:scoring_rewardmodel_change", args=[whole.pk])).content.decode()
    for words in ('href="/models/whole+1/"', "spectral, revision", "train 5000", "Yes: its weights are in the storage"):
        assert words in page
    assert "validation_loss" not in page  # the history is drawn on its own page


@pytest.fixture
def save_settings(db, admin_client):
    """save_settings(encoders=...): (what the form complains about, the row as it then is)."""

    def save(**typed):
        form = {"encoders": "spectral", "min_new_votes": 100, "judge_share": 0.4, "seeds": 1, "is_on": "on", **typed}
        answer = admin_client.post(reverse("admin:scoring_retraining_add"), form)
        errors = answer.context["adminform"].form.errors if answer.status_code == 200 else {}
        return dict(errors), Retraining.objects.first()

    return save


def test_an_admin_switches_the_loop_on_in_its_one_row(save_settings, admin_client):
    errors, row = save_settings(encoders=" spectral ,")
    assert (errors, row.pk, row.is_on, row.encoder_keys) == ({}, 1, True, ["spectral"])
    assert admin_client.get(reverse("admin:scoring_retraining_add")).status_code == 403  # there is one
    page = admin_client.get(reverse("admin:scoring_retraining_change", args=[1])).content.decode()
    assert "No reward model is live" in page


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"encoders": "cochlea"}, "unknown encoder 'cochlea'"),
        ({"encoders": "spectral,spectral"}, "named twice"),
        ({"encoders": ","}, "At least one encoder must hear the clip"),
        ({"judge_share": 1}, "less than or equal to 0.95"),
        ({"min_new_votes": 1}, "greater than or equal to 2"),
        ({"seeds": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_could_not_work_are_refused_in_words(save_settings, typed, says):
    errors, row = save_settings(**typed)
    assert says in str(errors) and row is None


def test_every_step_of_a_run_is_seen_with_when_and_what_it_found(study, admin_client):
    live, candidate = make_model("live"), make_model("candidate")
    run = RetrainingRun.objects.create(
        live_before=live, train_seq=5, judge_seq=9, config={"studies": ["open"], "encoders": ["spectral"]},
        facts={"votes": {"new": 9}}, started_at=timezone.now(),
    )  # fmt: skip
    page = reverse("admin:scoring_retrainingrun_change", args=[run.pk])

    def states():
        cells = re.findall(r"<tr><td>([^<]+)</td><td>([^<]+)</td>", admin_client.get(page).content.decode())
        return [state for _, state in cells]

    assert states() == ["next", "to come", "to come", "to come"]
    claim = retraining.Claim.take(run)
    assert states() == ["at work", "to come", "to come", "to come"]
    claim.advance("judge", candidate=candidate, pairs={"train": 4})
    retraining.Claim.take(run).advance("rescore", promoted=True, reasons=["It is better."])
    assert states() == ["done", "done", "next", "to come"]
    assert "It is better." in admin_client.get(page).content.decode()
    retraining.Claim.take(run).wait(left=40)
    assert states()[2] == "waits"
    retraining.Claim.take(run).fail("The disk is full.")
    assert states() == ["done", "done", "failed", "-"]
    content = admin_client.get(page).content.decode()
    assert "The disk is full." in content and "left 40" in content
    assert Study.objects.get().alarms.count() == 1
