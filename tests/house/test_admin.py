import json
import re
from datetime import timedelta
from html import unescape
from urllib.parse import urljoin

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from arena.models import Arrival, Participation, Study
from arena.study_file import StudyFileRefused, dump, load
from scoring.boards.refit import refit_board
from scoring.models import Release, RewardModel, ScoreItem, ScoreJob
from tests.casts.admin_forms import as_sent
from tests.casts.staff import logged_in
from tests.casts.votes import cast


@pytest.fixture
def everything(study, listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle, comment="fine")
    cast(study, "AB")
    refit_board(study)


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
    "name",
    [
        "arena_battle",
        "annotations_vote",
        "annotations_flag",
        "scoring_edition",
        "scoring_release",
        "scoring_scorejob",
        "scoring_scoreitem",
    ],
)
def test_what_is_append_only_cannot_be_added_to_or_changed_by_hand(everything, admin_client, name):
    assert admin_client.get(reverse(f"admin:{name}_add")).status_code == 403


def test_every_link_of_a_row_leads_somewhere(everything, admin_client):
    """Links to files, too: nothing below MEDIA_ROOT has a URL."""
    name = default_storage.save("releases/1.jsonl", ContentFile(b"{}\n"))
    kept = {"content": "votes", "format": "jsonl", "method_version": 5, "ledger_seq": 1, "n_rows": 1, "excluded": {}}
    Release.objects.create(number=1, file=name, sha256="0" * 64, created_at=timezone.now(), **kept)
    followed = set()
    for model in admin.site._registry:
        row = model._default_manager.first()
        if row is None:
            continue
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
        for link in re.findall(r'<a href="([^"#]*)"', admin_client.get(address).content.decode()):
            target = urljoin(address, unescape(link))
            if target not in followed and "logout" not in target:
                followed.add(target)
                assert admin_client.get(target).status_code == 200, f"{address} links to {link}"
    assert len(followed) > 30


def test_the_file_of_a_release_is_for_those_who_may_see_it(study, admin_client):
    name = default_storage.save("releases/1.jsonl", ContentFile(b"{}\n"))
    kept = {"content": "votes", "format": "jsonl", "method_version": 5, "ledger_seq": 1, "n_rows": 1, "excluded": {}}
    release = Release.objects.create(number=1, file=name, sha256="0" * 64, created_at=timezone.now(), **kept)
    address = reverse("admin:scoring_release_file", args=[release.pk])
    answer = admin_client.get(address)
    assert b"".join(answer.streaming_content) == b"{}\n"
    assert 'filename="votes-1.jsonl"' in answer["Content-Disposition"]
    assert logged_in("view_edition").get(address).status_code == 403
    assert Client().get(address).status_code == 302
    default_storage.delete(name)
    assert admin_client.get(address).status_code == 404


@pytest.fixture
def form(study, admin_client):
    """form(setting=value, ...): save the study's page with these typed in; (the answer, the study as it then is)."""

    def save(**typed):
        page = reverse("admin:arena_study_change", args=[study.pk])
        shown = admin_client.get(page).context["adminform"].form
        data = as_sent(shown)
        data |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in typed.items()}
        answer = admin_client.post(page, data, follow=True)
        study.refresh_from_db()
        return answer, study

    return save


def errors(answer):
    return {name: " ".join(told) for name, told in answer.context["adminform"].form.errors.items()}


def test_a_study_saved_as_it_is_stays_as_it_is(study, form):
    before = dump(study)
    answer, study = form()
    assert "was changed successfully" in answer.content.decode()
    assert dump(study) == before


@pytest.mark.parametrize(
    ("setting", "typed", "says"),
    [
        ("answers", ["A", "B", "MEH"], "not &#x27;MEH&#x27;"),
        ("questions", {}, "This field is required"),
        ("questions", {"degre": True}, "did you mean degree?"),
        ("questions", '{"degree": true,\n"axes" []}', "Line 2: this cannot be read as JSON"),
        ("questions", '"\\u0000"', "a NUL"),
        ("completion", {"codes": {"completed": 1}}, "codes: completed: A text"),
        ("golds", "-1", "-1 is not between 0 and 10."),
        ("min_listen_ms", "0", "0 is not between 1 and 2147483647."),
        ("blocks", "0", "0 is not between 1 and 32767."),
        ("repeats", "7", "At most 5 in blocks of 10"),
        ("epsilon", "0.01", "0.01 is not between 0.1 and 1."),
        ("consent_text", "Something else", "One person has agreed to version 1"),
        ("platform", {"session": "S"}, "participant"),
    ],
)
def test_what_a_study_cannot_be_is_said_at_its_field(listener, form, setting, typed, says):
    answer, _ = form(**{setting: typed})
    assert list(errors(answer)) == [setting]
    assert says in answer.content.decode()


def test_the_page_and_the_file_say_the_same(study, form):
    typed = {"golds": "11", "epsilon": "3.5", "repeats": "9"}
    answer, _ = form(**typed)
    content = "".join(f"{setting}: {value}\n" for setting, value in typed.items())
    with pytest.raises(StudyFileRefused) as refused:
        load([("open.yaml", f"slug: open\nname: Open\n{content}".encode())])
    assert {one.key: one.sentence for one in refused.value.problems} == errors(answer)


def test_an_object_left_empty_is_an_empty_one(study, form):
    _, study = form(platform="", completion="")
    assert (study.platform, study.completion) == ({}, {})


def test_a_text_that_was_typed_in_a_browser_is_the_one_of_the_file(listener, form, study):
    Study.objects.filter(pk=study.pk).update(consent_text="One.\nTwo.")
    _, study = form(consent_text="One.\r\nTwo.", description="Three.\r\nFour.")
    assert (study.consent_text, study.description) == ("One.\nTwo.", "Three.\nFour.")


def test_marking_a_study_as_the_default_takes_the_mark_from_the_other(study, form):
    Study.objects.filter(pk=study.pk).update(is_default=False)
    Study.objects.create(slug="other", name="x", is_default=True)
    answer, study = form(is_default="on")
    assert study.is_default
    assert not Study.objects.get(slug="other").is_default
    assert "The default was other; it is open now." in answer.content.decode()


def test_a_change_that_mixes_votes_is_made_with_a_warning(everything, form):
    answer, study = form(min_listen_ms="5000")
    assert study.min_listen_ms == 5000
    assert "given with 4000; those to come have 5000" in answer.content.decode()


def test_a_study_can_be_made_by_hand(study, admin_client):
    page = reverse("admin:arena_study_add")
    shown = admin_client.get(page).context["adminform"].form
    data = as_sent(shown)
    data |= {"slug": "new", "name": "New", "systems": [system.pk for system in study.systems.all()], "prompts": []}
    admin_client.post(page, data)
    new = Study.objects.get(slug="new")
    assert new.systems.count() == 3
    assert new.questions == Study().questions


def test_studies_are_downloaded_as_files_that_load(study, admin_client):
    Study.objects.create(slug="second", name="Second")
    listing = reverse("admin:arena_study_changelist")
    chosen = list(Study.objects.values_list("pk", flat=True))
    answer = admin_client.post(listing, {"action": "download", "_selected_action": chosen})
    assert answer["Content-Disposition"] == 'attachment; filename="studies.yaml"'
    assert [one.changed for one in load([("studies.yaml", answer.content)])] == [[], []]


def test_a_study_leads_to_its_pages(study, admin_client):
    page = admin_client.get(reverse("admin:arena_study_change", args=[study.pk])).content.decode()
    assert 'href="/listen/open/"' in page
    assert 'href="/boards/open/"' in page


def test_no_mark_of_a_person_is_shown(study, rater, admin_client):
    one = Participation.objects.update_or_create(rater=rater, study=study, defaults={"participant": "f00d"})[0]
    Arrival.objects.create(rater=rater, connection="cafe", network="cafe", device="cafe")
    for name in ("participation", "arrival"):
        assert admin_client.get(reverse(f"admin:arena_{name}_changelist")).status_code == 200
    shown = [
        admin_client.get(reverse("admin:arena_participation_changelist")),
        admin_client.get(reverse("admin:arena_participation_change", args=[one.pk])),
        admin_client.get(reverse("admin:arena_arrival_changelist")),
    ]
    assert not [page for page in shown if b"f00d" in page.content or b"cafe" in page.content]


# ---- files that researchers sent ----


@pytest.fixture
def jobs(db):
    """One job that waits after two attempts, one at work with a file that failed, one done."""
    now, rosa = timezone.now(), User.objects.create_user("rosa")
    queued = ScoreJob.objects.create(user=rosa, created_at=now, claimed_until=now - timedelta(seconds=1), attempts=2)
    claimed = ScoreJob.objects.create(user=rosa, created_at=now, claimed_until=now + timedelta(seconds=20), attempts=1)
    done = ScoreJob.objects.create(user=rosa, created_at=now, done_at=now)
    made = {"queued": queued, "claimed": claimed, "done": done}
    for name, job in made.items():
        for position in range(3):
            ScoreItem.objects.create(
                job=job, position=position, filename=f"{name} {position}.wav", sha256="0" * 64,
                file="" if name == "done" else f"uploads/{name}{position}.wav",
                reward=0.5 if name == "done" else None,
                error="it is silence" if (name, position) == ("claimed", 0) else "",
            )  # fmt: skip
    return made


def listed(admin_client, model, **params):
    answer = admin_client.get(reverse(f"admin:scoring_{model}_changelist"), params)
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize(
    ("state", "files"), [("queued", (3, 3, 0, 2)), ("claimed", (3, 2, 1, 1)), ("done", (3, 0, 0, 0))]
)
def test_a_score_job_says_how_far_it_is_and_how_many_of_its_files_wait_or_failed(jobs, admin_client, state, files):
    (job,) = listed(admin_client, "scorejob", state=state).context["cl"].result_list
    assert job == jobs[state]
    assert (job.state, job.n_files, job.n_waiting, job.n_failed, job.attempts) == (state, *files)
    page = admin_client.get(reverse("admin:scoring_scorejob_change", args=[job.pk])).content.decode()
    assert "rosa" in page and f"?job__id__exact={job.pk}" in page
    found = listed(admin_client, "scoreitem", job__id__exact=str(job.pk)).context["cl"].result_list
    assert {item.job for item in found} == {job}


def test_the_files_of_score_jobs_are_found_by_their_state_and_say_their_errors(jobs, admin_client):
    found = {
        state: [item.filename for item in listed(admin_client, "scoreitem", state=state).context["cl"].result_list]
        for state in ("queued", "claimed", "done", "failed")
    }
    assert {state: len(files) for state, files in found.items()} == {"queued": 3, "claimed": 2, "done": 3, "failed": 1}
    assert found["failed"] == ["claimed 0.wav"]
    assert "it is silence" in listed(admin_client, "scoreitem", state="failed").content.decode()
    for name in ("queued 0.wav", "done 0.wav"):
        item = ScoreItem.objects.get(filename=name)
        page = admin_client.get(reverse("admin:scoring_scoreitem_change", args=[item.pk])).content.decode()
        assert (item.file.name or "erased") in page


@pytest.mark.parametrize("model", ["scorejob", "scoreitem"])
def test_a_list_of_what_was_sent_asks_no_more_of_the_database_the_longer_it_is(jobs, admin_client, model):
    def n_queries():
        with CaptureQueriesContext(connection) as asked:
            listed(admin_client, model)
        return len(asked)

    n_queries()
    before = n_queries()
    for name in ("ada", "bob", "eve"):
        user = User.objects.create_user(name)
        reward_model = RewardModel.objects.create(name=name, encoders=[], weights="w", sha256="0" * 64)
        job = ScoreJob.objects.create(user=user, created_at=timezone.now(), reward_model=reward_model)
        ScoreItem.objects.create(job=job, position=0, sha256="0" * 64)
    assert n_queries() == before
