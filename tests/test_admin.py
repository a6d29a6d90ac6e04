import pytest
from django.contrib import admin
from django.urls import reverse

from scoring import services

from .test_boards import cast


@pytest.fixture
def everything(study, listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle, comment="fine")
    cast(study, "AB")
    services.refit_board(study)


@pytest.mark.parametrize(
    "model", [m for m in admin.site._registry if m._meta.app_label in {"arena", "annotations", "scoring"}]
)
def test_every_list_opens_searches_and_leads_to_its_rows(everything, admin_client, model):
    meta = model._meta
    listing = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    assert admin_client.get(listing).status_code == 200
    assert admin_client.get(listing, {"q": "1"}).status_code == 200
    first = model.objects.first()
    if first:
        page = admin_client.get(reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[first.pk]))
        assert page.status_code == 200


@pytest.mark.parametrize(
    "name", ["arena_battle", "annotations_vote", "annotations_flag", "scoring_edition", "scoring_release"]
)
def test_what_is_append_only_cannot_be_added_to_or_changed_by_hand(everything, admin_client, name):
    assert admin_client.get(reverse(f"admin:{name}_add")).status_code == 403


def test_a_study_with_a_wrong_answer_label_is_refused_with_a_sentence(study, admin_client):
    page = reverse("admin:arena_study_change", args=[study.pk])
    form = admin_client.get(page).context["adminform"].form
    data = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    data.update(answers='["A", "B", "MEH"]', questions="{}", systems=[], prompts=[])
    answer = admin_client.post(page, data)
    assert "MEH" in answer.content.decode()
