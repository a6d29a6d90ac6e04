"""After "delete me" nothing personal and no free text is left, in any column of any table, in any file or new export;
and what was published before still rebuilds.

What is to go and what may stay follows from the tables' own declarations (`arena.personal`). The walk does not trust
them: everything that the rater's browser says of them is a marker, and it reads the whole database and every file. It
proves that it sees by finding each marker first, in fields that are declared to go.
"""

import hashlib
import io
import json

import pytest
from django.db import connection
from django.utils import timezone

from annotations import ledger, ledger_audit, vote_blocks
from annotations.models import Flag, Reliability, Screening, Vote, VoteDetails
from annotations.services import flag, withdraw_rater, withdraw_votes
from arena.limits import marks_of_address
from arena.models import Battle, Clip, Consent, Participation, Rater
from arena.participants import participant_of
from arena.personal.declaration import declarations, stations
from arena.personal.erasure import rows_of
from arena.services import headphone_targets
from scoring import tasks
from scoring.anchors.refit import refit_anchors
from scoring.boards.refit import rebuild_edition, refit_board
from scoring.models import (
    CategoryBoards,
    EditionChange,
    Figure,
    QualityReport,
    Reward,
    RewardModel,
    RobustnessCard,
    Standing,
)
from scoring.releases.numbered import rebuild, release
from scoring.stats import board_method
from tests.casts.listener import Listener
from tests.casts.votes import cast

PID, STUDY_ID, SESSION_ID = "pidQ7Xk2", "studyQ7Xk2", "sessionQ7Xk2"
AGENT, LANGUAGE, KEY = "agentQ7Xk2", "languageQ7Xk2", "keyQ7Xk2"
COMMENT, EVENT, NOTE, GROUP = "commentQ7Xk2", "eventQ7Xk2", "noteQ7Xk2", "groupQ7Xk2"
ADDRESS, VOLUME = "93.184.215.14", 0.1357924
KEPT_NOWHERE = {PID, STUDY_ID, SESSION_ID, KEY, ADDRESS}  # not even before
MARKERS = {AGENT, LANGUAGE, COMMENT, EVENT, NOTE, GROUP, str(VOLUME), *KEPT_NOWHERE}


# ---- the walk ----


def walk(markers):
    """{"table.column": the markers in it} over every row of every table."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() "
            "AND table_type = 'BASE TABLE'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        assert {"arena_rater", "annotations_vote", "scoring_edition", "django_session"} < set(tables)
        for table in tables:
            cursor.execute(f'SELECT to_jsonb("{table}")::text FROM "{table}"')
            for (row,) in cursor.fetchall():
                for column, value in json.loads(row).items():
                    if here := markers_in(json.dumps(value).encode(), markers):
                        found.setdefault(f"{table}.{column}", set()).update(here)
    return found


def markers_in(content, markers):
    """Those that stand in the bytes, plainly or in hexadecimal, as bytea is shown."""
    return {m for m in markers if m.encode() in content or m.encode().hex().encode() in content}


def walk_files(folder, markers):
    """{name: the markers in its name or its bytes} over every file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {str(path): markers_in(str(path).encode() + path.read_bytes(), markers) for path in files}
    return {name: here for name, here in found.items() if here}


# ---- what the tables declare ----


def of_raters():
    """The declarations of the tables that lead to a rater."""
    return [declared for declared in declarations() if declared.rater]


def declared_columns(*fates):
    """{"table.column"} of the fields of any table with one of these fates."""
    return {
        f"{declared.model._meta.db_table}.{declared.model._meta.get_field(name).column}"
        for declared in declarations()
        for name in declared.fields(*fates)
    }


def columns_that_name_a_rater_and_stay():
    """{"table.column"} of the foreign keys to a rater in rows that no withdrawal deletes, and the rater's own id."""
    return {"arena_rater.id"} | {
        f"{declared.model._meta.db_table}.{declared.model._meta.get_field(way).column}"
        for declared in of_raters()
        for way in declared.rater
        if not declared.deleted and len(stations(declared.model, way)) == 2
    }


def contents(rater):
    """{(table, row id): {field: value}} of all rows that belong to the rater, as their tables declare."""
    return {
        (declared.model._meta.label, row["pk"]): row
        for declared in of_raters()
        for row in rows_of(declared, Rater.objects.filter(pk=rater.pk)).values(
            *(field.name for field in declared.model._meta.concrete_fields), "pk"
        )
    }


def is_empty(value):
    return value in (None, "", [], {}, 0)


# ---- somebody with a mark on everything ----


class Somebody:
    """A rater who came from a platform and left all there is to leave."""

    def __init__(self, study, time_passes):
        self.study, self.time_passes, self.listener = study, time_passes, Listener()
        self.listener.client.defaults |= {
            "REMOTE_ADDR": ADDRESS, "HTTP_X_FORWARDED_FOR": ADDRESS, "HTTP_USER_AGENT": AGENT,
            "HTTP_ACCEPT_LANGUAGE": LANGUAGE,
        }  # fmt: skip
        self.platform = {"PROLIFIC_PID": PID, "STUDY_ID": STUDY_ID, "SESSION_ID": SESSION_ID}
        answer = self.listener.post("/api/raters/", {"consent_version": 1, "platform": self.platform, "group": GROUP})
        self.rater = Rater.objects.get(pk=answer.json()["id"])
        self.listener.post("/api/studies/open/volume/", {"level": VOLUME})
        self.pass_headphones()
        for number in range(6):
            self.vote(number)
        self.skip()
        self.is_finished()
        self.is_screened()
        self.marks = MARKERS | {self.participant, *self.origin}

    def pass_headphones(self):
        attempt = self.listener.post("/api/studies/open/headphones/").json()["attempt"]
        targets = [target for target, _ in headphone_targets(self.rater, self.study, attempt)]
        self.listener.post(f"/api/studies/open/headphones/{attempt}/", {"answers": targets})

    def vote(self, number):
        battle = self.listener.battle()
        self.time_passes(9)
        events = [{"t": 1, "kind": "play", "value": EVENT}, {"t": 2, "kind": "volume", "value": 0.5}]
        voted = self.listener.vote(battle, "AB"[number % 2], key=f"{KEY}{number}", comment=COMMENT, events=events)
        assert voted.status_code == 201, voted.content

    def skip(self):
        skipped = self.listener.battle()
        self.listener.post(f"/api/battles/{skipped['id']}/skip/", {"reason": "cannot_play"})
        self.listener.battle()  # and one that is left open

    def is_finished(self):
        """As if they had, and as if an import had known them too: so that no field is empty."""
        Participation.objects.filter(rater=self.rater).update(outcome="completed", finished_at=timezone.now())
        Rater.objects.filter(pk=self.rater.pk).update(import_key="i" * 64)

    def is_screened(self):
        now = timezone.now()
        facts = {"rater": self.rater, "study": self.study, "version": 1}
        looked = {"score": 0.9, "n_votes": 6, "looked_at_end": True, "at": now}
        Screening.objects.create(screen="golds", result="fail", detail={"note": NOTE}, **looked, **facts)
        flag(self.rater.votes.first(), Flag.LATE, 1, {"reserved_until": now.isoformat()}, now)
        Reliability.objects.create(ledger_seq=1, skill=0.5, stderr=0.1, n_votes=6, created_at=now, **facts)
        ledger.catch_up()  # with the first vote's place come the numbers of its rater's groups

    @property
    def participant(self):
        return participant_of(self.study, self.platform, None)

    @property
    def origin(self):
        marks = marks_of_address(ADDRESS, AGENT, timezone.now())
        return {marks.connection, marks.network, marks.device}


@pytest.fixture
def published(checked):
    """The study with a live model and other people's votes."""
    model = RewardModel.objects.create(
        name="jury", encoders=[{"key": "spectral", "revision": "1", "dimension": 2}], weights="w", sha256="s",
        status="live",
    )  # fmt: skip
    for clip in Clip.objects.all():
        Reward.objects.create(clip=clip, reward_model=model, value=clip.pk / 10)
    cast(checked, "ABABBA")
    checked.platform = {"participant": "PROLIFIC_PID", "study": "STUDY_ID", "session": "SESSION_ID"}
    checked.volume_check, checked.headphones, checked.groups = True, "required", [GROUP]
    checked.save()
    return checked


def publish(study):
    """An edition, an anchor fit, and releases of both contents."""
    ledger.catch_up()
    edition = refit_board(study)
    refit_anchors(study, RewardModel.live())
    return edition, [release("votes"), release("pairs", "csv")]


def everything_that_is_computed():
    """What the sweeps write beside the boards."""
    tasks.screen_raters()
    tasks.compute_categories()
    tasks.write_cards()
    tasks.explain_editions()
    tasks.power_boards()
    tasks.move_standings_on()
    tasks.draw_figures()


@pytest.fixture
def somebody(published, time_passes):
    return Somebody(published, time_passes)


# ---- delete me ----


def test_the_walk_finds_every_mark_in_fields_that_are_to_go_before_the_withdrawal(published, somebody, settings):
    publish(published)
    where = walk(somebody.marks)
    study_setting = where.pop("arena_study.groups")  # what listeners may answer
    assert study_setting == {GROUP}
    assert set(where) <= declared_columns("deleted", "blanked")
    assert set().union(*where.values()) == somebody.marks - KEPT_NOWHERE
    hashed = hashlib.sha256(f"{KEY}0".encode()).hexdigest()
    assert walk({hashed}) == {"annotations_vote.idempotency_key": {hashed}}
    (settings.MEDIA_ROOT / "note.txt").write_text(f"from {COMMENT}")
    assert set(walk_files(settings.MEDIA_ROOT, somebody.marks).popitem()[1]) == {COMMENT}


def test_before_the_withdrawal_there_is_something_in_every_field_that_is_to_go(somebody):
    """So that a field or table added later cannot go untried for want of rows."""
    before = contents(somebody.rater)
    for declared in of_raters():
        rows = [row for (label, _), row in before.items() if label == declared.model._meta.label]
        assert rows, f"Somebody has no row of {declared.model._meta.label}; give them one"
        for name in declared.fields("deleted", "blanked"):
            assert not all(is_empty(row[name]) for row in rows), f"Somebody has no {declared.model._meta.label} {name}"


def test_after_delete_me_nothing_personal_is_left_anywhere(published, somebody, settings):
    publish(published)
    assert somebody.listener.delete("/api/raters/me/").status_code == 204
    publish(published)
    setting_of_the_study = {"arena_study.groups": {GROUP}}
    assert walk(somebody.marks) == setting_of_the_study
    assert walk_files(settings.MEDIA_ROOT, somebody.marks) == {}


def test_delete_me_does_to_every_field_what_its_table_declares_and_nothing_else(published, somebody):
    publish(published)
    before = contents(somebody.rater)
    somebody.listener.delete("/api/raters/me/")
    changed = set()
    for declared in of_raters():
        label = declared.model._meta.label
        now = {row["pk"]: row for row in declared.model.objects.values("pk", *declared.fields("blanked", "kept"))}
        for row in [row for (table, _), row in before.items() if table == label]:
            assert (row["pk"] in now) != bool(declared.deleted), label
            if not declared.deleted:
                assert all(is_empty(now[row["pk"]][name]) for name in declared.fields("blanked")), label
                changed |= {(label, name) for name in declared.fields("kept") if now[row["pk"]][name] != row[name]}
    assert changed == {
        ("arena.Rater", "withdrawn_at"),
        ("arena.Battle", "closed_at"), ("arena.Battle", "close_reason"), ("arena.Battle", "skip_reason"),
    }  # fmt: skip


def test_afterwards_the_pseudonym_stands_only_in_foreign_keys_and_copies_of_votes(published, somebody, monkeypatch):
    monkeypatch.setattr(vote_blocks, "SIZE", 3)
    publish(published)
    everything_that_is_computed()
    somebody.listener.delete("/api/raters/me/")
    publish(published)
    everything_that_is_computed()
    for written in (QualityReport, CategoryBoards, RobustnessCard, EditionChange, Standing, Figure):
        assert written.objects.exists(), written
    places = set(walk({str(somebody.rater.pk), somebody.rater.pk.bytes.hex()}))
    assert places == {*columns_that_name_a_rater_and_stay(), "annotations_voteblock.records"}
    assert "annotations_voteblock.records" in declared_columns("kept")
    assert not Battle.objects.filter(rater=somebody.rater, closed_at=None).exists()
    assert Flag.objects.filter(rule="withdrawn").count() == 6


def test_the_raters_row_stays_as_an_empty_tombstone(somebody):
    somebody.listener.delete("/api/raters/me/")
    tombstone = Rater.objects.filter(pk=somebody.rater.pk).values().get()
    assert tombstone.pop("withdrawn_at")
    kept = {"id": somebody.rater.pk, "kind": "listener", "created_at": somebody.rater.created_at}
    assert tombstone == {**kept, "import_key": None, "ears_free_at": None}


def test_a_withdrawal_takes_as_many_queries_for_many_votes_as_for_few(study, django_assert_max_num_queries):
    for n_votes in (1, 6):
        rater = cast(study, "A" * n_votes)
        with django_assert_max_num_queries(14):
            withdraw_rater(rater)
        stays = cast(study, "A" * n_votes)
        with django_assert_max_num_queries(7):
            assert withdraw_votes(stays) == n_votes


def test_what_was_published_before_still_rebuilds_and_what_comes_after_leaves_the_votes_out(published, somebody):
    edition, releases = publish(published)
    somebody.listener.delete("/api/raters/me/")
    later, new_releases = publish(published)
    assert rebuild_edition(edition) == board_method.canonical_json(edition.result)
    for old in releases:
        written = io.BytesIO()
        assert rebuild(old, written) == old.sha256
        assert written.getvalue() == old.file.read()
        assert str(somebody.rater.pk).encode() in written.getvalue()
    assert later.excluded["withdrawn"] == 6
    for new in new_releases:
        assert new.excluded["withdrawn"] == 6
        assert str(somebody.rater.pk).encode() not in new.file.read()
    assert ledger_audit.audit() == []


def test_the_cookie_of_the_deleted_opens_nothing_and_the_same_participant_starts_anew(published, somebody):
    cookie = somebody.listener.client.cookies["rater"].value
    somebody.listener.delete("/api/raters/me/")
    somebody.listener.client.cookies["rater"] = cookie
    assert somebody.listener.post("/api/battles/").status_code == 401
    again = Listener().post("/api/raters/", {"consent_version": 1, "platform": somebody.platform})
    assert again.status_code == 201
    assert again.json()["id"] != str(somebody.rater.pk)


# ---- withdraw everything, and stay ----


def test_who_withdraws_every_vote_stays_but_no_word_of_theirs_does(published, somebody):
    publish(published)
    assert somebody.listener.post("/api/raters/me/withdraw/").json() == {"withdrawn": 6}
    assert somebody.listener.post("/api/raters/me/withdraw/").json() == {"withdrawn": 0}
    assert not VoteDetails.objects.filter(vote__rater=somebody.rater).exists()
    assert not walk({COMMENT, EVENT, AGENT, LANGUAGE})
    edition, (votes, pairs) = publish(published)
    assert edition.excluded["withdrawn"] == votes.excluded["withdrawn"] == pairs.excluded["withdrawn"] == 6
    somebody.vote(7)
    assert Vote.objects.filter(rater=somebody.rater).count() == 7
    assert Consent.objects.filter(rater=somebody.rater).exists()


def test_a_withdrawal_touches_nobody_elses_rows(published, somebody):
    others = Vote.objects.exclude(rater=somebody.rater).count()
    bystander = Participation.objects.exclude(rater=somebody.rater).count()
    somebody.listener.delete("/api/raters/me/")
    assert Flag.objects.exclude(vote__rater=somebody.rater).count() == 0
    assert Vote.objects.exclude(rater=somebody.rater).count() == others > 0
    assert Participation.objects.count() == bystander > 0
