"""After "delete me" nothing personal and no free text is left, in any column of any table, in any file or new export;
and what was published before still rebuilds.

Everything that the rater's browser says of them is a marker. The walk reads the whole database and every file, so
a table that is added later is walked too; it proves that it sees by finding each marker where it belongs first.
"""

import hashlib
import io
import json

import pytest
from django.db import connection
from django.utils import timezone

from annotations import ledger
from annotations.models import Flag, Reliability, Screening, Vote, VoteDetails
from arena.models import Arrival, Battle, Clip, Consent, Participation, Rater
from arena.participants import connection_of, participant_of
from arena.services import headphone_targets
from scoring.anchors.refit import refit_anchors
from scoring.boards.refit import rebuild_edition, refit_board
from scoring.models import Reward, RewardModel
from scoring.releases.numbered import rebuild, release
from scoring.stats import board_method
from tests.casts.listener import Listener
from tests.casts.votes import cast

PID, STUDY_ID, SESSION_ID = "pidQ7Xk2", "studyQ7Xk2", "sessionQ7Xk2"
AGENT, LANGUAGE, KEY = "agentQ7Xk2", "languageQ7Xk2", "keyQ7Xk2"
COMMENT, EVENT, NOTE = "commentQ7Xk2", "eventQ7Xk2", "noteQ7Xk2"
ADDRESS, VOLUME = "93.184.215.14", 0.1357924
MARKERS = {PID, STUDY_ID, SESSION_ID, AGENT, LANGUAGE, KEY, COMMENT, EVENT, NOTE, ADDRESS, str(VOLUME)}


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


def tables_that_refer_to(table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = %s::regclass",
            [table],
        )
        return {name for (name,) in cursor.fetchall()}


# ---- somebody with a mark on everything ----


class Somebody:
    """A rater who came from a platform and left all there is to leave."""

    def __init__(self, study, time_passes):
        self.study, self.time_passes, self.listener = study, time_passes, Listener()
        self.listener.client.defaults |= {
            "REMOTE_ADDR": ADDRESS, "HTTP_USER_AGENT": AGENT, "HTTP_ACCEPT_LANGUAGE": LANGUAGE,
        }  # fmt: skip
        self.platform = {"PROLIFIC_PID": PID, "STUDY_ID": STUDY_ID, "SESSION_ID": SESSION_ID}
        answer = self.listener.post("/api/raters/", {"consent_version": 1, "platform": self.platform})
        self.rater = Rater.objects.get(pk=answer.json()["id"])
        self.listener.post("/api/studies/open/volume/", {"level": VOLUME})
        self.pass_headphones()
        for number in range(6):
            self.vote(number)
        self.skip()
        self.listener.post("/api/studies/open/completion/", {"platform": self.platform})
        self.is_screened()
        self.marks = MARKERS | {self.participant, self.connection}

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

    def is_screened(self):
        now = timezone.now()
        facts = {"rater": self.rater, "study": self.study, "version": 1}
        Screening.objects.create(screen="golds", result="fail", detail={"note": NOTE}, at=now, **facts)
        Reliability.objects.create(ledger_seq=1, skill=0.5, stderr=0.1, n_votes=6, created_at=now, **facts)

    @property
    def participant(self):
        return participant_of(self.study, self.platform, None)

    @property
    def connection(self):
        return connection_of(ADDRESS, AGENT, timezone.now())


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
    checked.volume_check, checked.headphones = True, "required"
    checked.save()
    return checked


def publish(study):
    """An edition, an anchor fit, and releases of both contents."""
    ledger.catch_up()
    edition = refit_board(study)
    refit_anchors(study, RewardModel.live())
    return edition, [release("votes"), release("pairs", "csv")]


@pytest.fixture
def somebody(published, time_passes):
    return Somebody(published, time_passes)


# ---- delete me ----


def test_the_walk_finds_every_mark_where_it_belongs_before_the_withdrawal(published, somebody, settings):
    publish(published)
    found = walk(somebody.marks)
    assert found == {
        "annotations_votedetails.comment": {COMMENT},
        "annotations_votedetails.events": {EVENT},
        "annotations_votedetails.user_agent": {AGENT},
        "annotations_votedetails.language": {LANGUAGE},
        "annotations_screening.detail": {NOTE},
        "arena_participation.volume": {str(VOLUME)},
        "arena_participation.participant": {somebody.participant},
        "arena_arrival.connection": {somebody.connection},
    }  # and nowhere the participant's own id, the address or the idempotency keys
    hashed = hashlib.sha256(f"{KEY}0".encode()).hexdigest()
    assert walk({hashed}) == {"annotations_vote.idempotency_key": {hashed}}
    (settings.MEDIA_ROOT / "note.txt").write_text(f"from {COMMENT}")
    assert set(walk_files(settings.MEDIA_ROOT, somebody.marks).popitem()[1]) == {COMMENT}


def test_every_table_that_refers_to_a_rater_has_this_ones_rows_before(somebody):
    """So that a table added later cannot go unwalked for want of rows."""
    with_rows = {place.split(".")[0] for place in walk({str(somebody.rater.pk)})}
    assert tables_that_refer_to("arena_rater") <= with_rows


def test_after_delete_me_nothing_personal_is_left_anywhere(published, somebody, settings):
    publish(published)
    assert somebody.listener.delete("/api/raters/me/").status_code == 204
    publish(published)
    assert walk(somebody.marks) == {}
    assert walk_files(settings.MEDIA_ROOT, somebody.marks) == {}
    for model in (Consent, Participation, Arrival, Screening):
        assert not model.objects.filter(rater=somebody.rater).exists()
    assert not VoteDetails.objects.filter(vote__rater=somebody.rater).exists()


def test_what_refers_to_the_rater_afterwards_is_a_tombstone_battles_votes_and_reliability(published, somebody):
    publish(published)
    somebody.listener.delete("/api/raters/me/")
    publish(published)
    assert set(walk({str(somebody.rater.pk)})) == {
        "arena_rater.id", "arena_battle.rater_id", "annotations_vote.rater_id", "annotations_reliability.rater_id",
    }  # fmt: skip
    tombstone = Rater.objects.filter(pk=somebody.rater.pk).values().get()
    assert tombstone.pop("withdrawn_at")
    kept = {"id": somebody.rater.pk, "kind": "listener", "created_at": somebody.rater.created_at}
    assert tombstone == {**kept, "import_key": None, "ears_free_at": None}
    assert not Battle.objects.filter(rater=somebody.rater, closed_at=None).exists()
    assert Flag.objects.filter(rule="withdrawn").count() == 6


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
    assert ledger.verify() is None


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
