"""Personal data declares itself: no table without a word on what it holds of people, and what is declared is done."""

from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, models
from django.test.utils import isolate_apps
from django.utils import timezone

from annotations.models import Vote
from annotations.services import withdraw_rater, withdraw_votes
from arena.models import Rater
from arena.personal import declaration
from arena.personal.data_map import PLACE, data_map
from arena.personal.guard import problems
from arena.services import give_consent
from scoring.models import ScoreItem, ScoreJob
from tests.casts.votes import cast


def test_every_table_declares_what_it_holds_of_people():
    assert problems() == []


def test_the_data_map_says_what_the_models_declare():
    assert PLACE.read_text(encoding="utf-8") == data_map(), "Run `manage.py data_map --write`"


def test_the_command_prints_the_data_map(capsys):
    call_command("data_map")
    assert capsys.readouterr().out == data_map()


@pytest.mark.django_db
def test_no_table_is_without_a_model_that_could_declare_something():
    of_django = {"django_migrations"}
    of_many_to_many = {
        field.remote_field.through._meta.db_table
        for model in declaration.tables()
        for field in model._meta.many_to_many
    }
    known = {model._meta.db_table for model in declaration.tables()} | of_django | of_many_to_many
    assert set(connection.introspection.table_names()) <= known


# ---- a new table without a declaration, or with a wrong one -------------------------------------------


def rater_key(**more):
    return models.ForeignKey(Rater, models.CASCADE, related_name="+", **more)


def user_key(on_delete=models.CASCADE):
    return models.ForeignKey(User, on_delete, related_name="+", null=True)


def planted(personal=None, **fields):
    """A model of the app `scoring` that nobody has thought about."""
    with isolate_apps("scoring"):
        return model("Planted", personal, **fields)


def model(name, personal=None, **fields):
    meta = type("Meta", (), {"app_label": "scoring"})
    body = {"__module__": __name__, "Meta": meta, "__str__": lambda self: name, **fields}
    if personal is not None:
        body["Personal"] = type("Personal", (), personal)
    return type(name, (models.Model,), body)


def test_a_new_table_that_leads_to_a_rater_is_told_what_to_write():
    taste = planted(rater=rater_key(), loudness=models.FloatField())
    (sentence,) = problems([taste])
    assert "scoring.Planted does not say what it holds of people: rater leads to a rater." in sentence
    assert 'class Personal: rater = "rater"; deleted = {"loudness": "what they hold"}' in sentence
    assert "arena/personal/declaration.py" in sentence


def test_a_table_that_leads_to_a_rater_only_over_a_vote_is_told_the_way():
    (sentence,) = problems([planted(vote=models.ForeignKey(Vote, models.CASCADE, related_name="+"))])
    assert "vote leads to a rater" in sentence
    assert 'rater = "vote__rater"' in sentence


def test_a_table_that_leads_to_an_account_is_told_what_to_write():
    job = models.ForeignKey(ScoreJob, models.CASCADE, related_name="+")
    (sentence,) = problems([planted(job=job, seconds=models.FloatField())])
    assert "job leads to a user" in sentence
    assert 'user = "job__user"' in sentence


@pytest.mark.parametrize(
    "text",
    [
        models.TextField(), models.CharField(max_length=9), models.JSONField(), models.EmailField(),
        models.GenericIPAddressField(), models.FileField(), models.BinaryField(), models.UUIDField(),
    ],
    ids=lambda field: type(field).__name__,
)  # fmt: skip
def test_a_new_table_with_a_field_that_could_name_somebody_is_told_what_to_write(text):
    (sentence,) = problems([planted(remark=text)])
    assert "remark can hold text" in sentence
    assert 'not_personal = {"remark": "what they hold"}' in sentence


def test_a_table_of_numbers_dates_and_choices_about_nobody_needs_no_word():
    choice = models.CharField(max_length=3, choices=[("yes", "yes"), ("no", "no")])
    assert (
        problems([planted(n=models.IntegerField(), share=models.FloatField(), at=models.DateTimeField(), c=choice)])
        == []
    )


WRONG = [
    ({"rater": "rater", "deleted": {"remark": "what they wrote"}}, "age is not named, and the table leads to a person"),
    ({"rater": "rater", "deleted": {"remark, age, shoes": "x"}}, "there is no field 'shoes'"),
    ({"rater": "rater", "deleted": {"remark, age": "x"}, "not_personal": {"age": "y"}}, "age is named twice"),
    ({"rater": "rater", "deleted": {"remark, age": " "}}, "deleted says nothing about remark, age"),
    ({"rater": "rater", "deleted": {"remark": "x"}, "kept": {"age": "y"}}, "deleted means the whole row"),
    ({"rater": "rater", "blanked": {"remark, age": "x"}}, "age cannot be blanked; give it null=True or a default"),
    ({"deleted": {"remark, age, rater": "x"}}, 'rater leads to a rater; write rater = "rater"'),
    ({"rater": "owner", "deleted": {"remark, age": "x"}}, "'owner' is no foreign key of scoring.Planted"),
    ({"rater": "rater", "erased": {"remark, age": "x"}}, "has erased, which nothing reads"),
]


@pytest.mark.parametrize(("personal", "says"), WRONG, ids=[says for _, says in WRONG])
def test_a_declaration_that_cannot_be_right_is_told_why(personal, says):
    sentences = problems([planted(personal, rater=rater_key(), remark=models.TextField(), age=models.IntegerField())])
    assert any(sentence.startswith("scoring.Planted: ") and says in sentence for sentence in sentences), sentences


def test_a_field_that_is_added_to_a_declared_table_has_to_be_declared_too():
    personal = {"not_personal": {"remark": "what staff writes"}}
    assert problems([planted(personal, remark=models.TextField())]) == []
    (sentence,) = problems([planted(personal, remark=models.TextField(), address=models.EmailField())])
    assert "address is not named, and it can hold text" in sentence


def test_rows_of_two_raters_have_to_be_reached_from_both():
    personal = {"rater": "rater", "deleted": {"other": "whose answers are alike"}}
    (sentence,) = problems([planted(personal, rater=rater_key(), other=rater_key())])
    assert "rows that belong to a rater over other would stay; write rater = ('rater', 'other')" in sentence


def test_a_table_of_an_account_has_to_go_with_it():
    personal = {"user": "user", "deleted": {"remark": "what they wrote"}}
    (sentence,) = problems([planted(personal, user=user_key(models.SET_NULL), remark=models.TextField())])
    assert "its rows do not go with the account: user has to be on_delete=CASCADE" in sentence


def test_raters_in_a_many_to_many_field_need_a_table_that_can_declare_something():
    sentences = problems([planted({}, invited=models.ManyToManyField(Rater, related_name="+"))])
    assert any("invited is a table of people; give it a model of its own" in sentence for sentence in sentences)


# ---- what is declared is done -------------------------------------------------------------------------


@contextmanager
def table_of(model, monkeypatch):
    """The planted model with a table, and as one of the app's."""
    known = declaration.tables()
    monkeypatch.setattr(declaration, "tables", lambda: [*known, model])
    connection.check_constraints()  # PostgreSQL alters no table while a deferred check of it is pending
    with connection.schema_editor() as editor:
        editor.create_model(model)
    yield model
    connection.check_constraints()


def note(**personal):
    return planted(
        {"rater": "rater", **personal},
        rater=rater_key(),
        text=models.TextField(),
        recording=models.FileField(upload_to="recordings/"),
    )


@pytest.mark.django_db
def test_rows_and_files_of_a_table_above_go_with_the_rater_and_nobody_elses(study, monkeypatch):
    leaves, stays = (give_consent(None, study, 1) for _ in range(2))
    with table_of(note(deleted={"text, recording": "what they hummed"}), monkeypatch) as hummed:
        rows = [
            hummed.objects.create(rater=rater, text="la", recording=ContentFile(b"la", name="la.wav"))
            for rater in (leaves, stays)
        ]
        withdraw_rater(leaves)
        assert list(hummed.objects.values_list("rater", flat=True)) == [stays.pk]
        assert [default_storage.exists(row.recording.name) for row in rows] == [False, True]


@pytest.mark.django_db
def test_blanked_fields_of_a_table_above_are_emptied_and_the_row_stays(study, monkeypatch):
    leaves = give_consent(None, study, 1)
    personal = {"blanked": {"recording": "what they hummed"}, "not_personal": {"text": "the melody's name"}}
    with table_of(note(**personal), monkeypatch) as hummed:
        row = hummed.objects.create(rater=leaves, text="la", recording=ContentFile(b"la", name="la.wav"))
        name = row.recording.name
        withdraw_rater(leaves)
        row.refresh_from_db()
        assert (row.text, row.recording.name) == ("la", "")
        assert not default_storage.exists(name)


@pytest.mark.django_db
def test_a_storage_that_fails_undoes_the_withdrawal(study, monkeypatch):
    leaves = give_consent(None, study, 1)
    with table_of(note(deleted={"text, recording": "what they hummed"}), monkeypatch) as hummed:
        hummed.objects.create(rater=leaves, text="la", recording=ContentFile(b"la", name="la.wav"))
        monkeypatch.setattr(default_storage, "delete", lambda name: (_ for _ in ()).throw(OSError("no storage")))
        with pytest.raises(OSError, match="no storage"):
            withdraw_rater(leaves)
        assert hummed.objects.count() == 1
        assert Rater.objects.get(pk=leaves.pk).withdrawn_at is None


@pytest.mark.django_db
def test_what_came_with_a_vote_goes_with_the_vote_and_what_is_the_raters_stays(study, monkeypatch):
    stays = cast(study, "AB")
    personal = {"rater": "vote__rater", "deleted": {"text": "why"}}
    vote_key = models.ForeignKey(Vote, models.CASCADE, related_name="+")
    with table_of(planted(personal, vote=vote_key, text=models.TextField()), monkeypatch) as reason:
        for vote in stays.votes.all():
            reason.objects.create(vote=vote, text="because")
        assert withdraw_votes(stays) == 2
        assert not reason.objects.exists()
        assert stays.consents.exists()


@pytest.mark.django_db
@isolate_apps("scoring")
def test_rows_go_before_those_they_refer_to(study, monkeypatch):
    leaves = give_consent(None, study, 1)
    named = {"deleted": {"text": "what is in it"}}
    album = model("Album", {"rater": "rater", **named}, rater=rater_key(), text=models.TextField())
    album_key = models.ForeignKey(album, models.PROTECT, related_name="+")
    page = model("Page", {"rater": "album__rater", **named}, album=album_key, text=models.TextField())
    with table_of(album, monkeypatch), table_of(page, monkeypatch):
        page.objects.create(album=album.objects.create(rater=leaves, text="a"), text="b")
        withdraw_rater(leaves)
        assert not album.objects.exists()
        assert not page.objects.exists()


@pytest.mark.django_db
def test_with_an_account_goes_what_it_sent_to_be_scored():
    user = User.objects.create_user("nadia", password="correct horse")
    job = ScoreJob.objects.create(user=user, prompt="my secret song", created_at=timezone.now())
    ScoreItem.objects.create(job=job, position=0, filename="secret.wav", sha256="s")
    user.delete()
    assert not ScoreJob.objects.exists()
    assert not ScoreItem.objects.exists()
