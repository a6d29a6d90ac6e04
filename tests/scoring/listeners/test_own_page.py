"""A listener's own page: history, agreement, taking everything along, and going."""

import json
import math
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.signing import get_cookie_signer
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotations.models import Flag, Screening, Vote
from annotations.services import Answer, cast_vote, flag, withdraw_vote
from arena.models import Battle, Clip, Excerpt, Participation, Rater, Study
from arena.rater_cookie import SALT
from arena.services import give_consent
from arena.serving import serve_battle
from scoring.listeners.insight import insight
from scoring.listeners.own_page import download, own_page
from scoring.models import AnchorBias, AnchorFit, Reward, RewardModel
from tests.casts import browser as stage
from tests.casts.score import measured_and_calibrated

HEARD = {"A": [[0, 4000]], "B": [[0, 4000]]}


def votes(rater, study, preferences, *, ago_h=1, **more):
    """One vote after the other, a minute apart; a preference may be a function of the battle."""
    began = timezone.now() - timedelta(hours=ago_h)
    cast = []
    for number, preference in enumerate(preferences):
        now = began + timedelta(minutes=number)
        battle, _ = serve_battle(rater, study, now=now)
        said = preference(battle) if callable(preference) else preference
        answer = Answer(preference=said, heard=HEARD, first_played="A", switches=1, **more)
        cast.append(cast_vote(rater, battle.pk, answer, f"{ago_h}-{number}", now=now + timedelta(seconds=30))[0])
    return cast


def later_name(battle):
    """The answer that prefers the system whose name comes later."""
    return "A" if battle.system_a.name > battle.system_b.name else "B"


def earlier_name(battle):
    return {"A": "B", "B": "A"}[later_name(battle)]


def gold_after(vote, preference, expected, kind="gold"):
    """A clip of the vote's against its spoiled self."""
    battle = vote.battle
    spoiled, _ = Excerpt.objects.get_or_create(
        clip=battle.clip_a, length_ms=10_000, codec="mp3", variant="noisy", file="x", size=1, status="ready"
    )
    b = {"system_b": battle.system_a, "clip_b": battle.clip_a, "excerpt_b": spoiled}
    return answered(vote, preference, kind=kind, expected=expected, system_a=battle.system_a, clip_a=battle.clip_a,
                    excerpt_a=battle.excerpt_a, **b)  # fmt: skip


def repeat_after(vote, preference):
    """The vote's battle once more, its slots swapped."""
    of = vote.battle
    return answered(
        vote, preference, kind="repeat", repeats=of, system_a=of.system_b, clip_a=of.clip_b, excerpt_a=of.excerpt_b,
        system_b=of.system_a, clip_b=of.clip_a, excerpt_b=of.excerpt_a,
    )  # fmt: skip


def answered(vote, preference, **fields):
    now = vote.received_at + timedelta(minutes=30)
    battle = Battle.objects.create(
        study=vote.battle.study, rater=vote.rater, prompt=vote.battle.prompt, length_ms=10_000, codec="mp3",
        policy=fields["kind"], served_at=now, reserved_until=now, expires_at=now, closed_at=now, close_reason="voted",
        **fields,
    )  # fmt: skip
    return Vote.objects.create(battle=battle, rater=vote.rater, preference=preference, received_at=now)


@pytest.fixture
def live_model(study):
    """Likes the clips of a system the better, the later its name."""
    model = RewardModel.objects.create(name="juror", status="live", encoders=[], weights="w", sha256="0" * 64)
    for clip in Clip.objects.select_related("system"):
        value = 2.0 * ["alder", "birch", "cedar"].index(clip.system.name)
        Reward.objects.create(clip=clip, reward_model=model, value=value)
    return model


# ---- the history ----


def test_the_history_has_the_newest_first_with_who_was_who_and_what_was_said(rater, study):
    first, second = votes(rater, study, ["A", "TIE"], comment="a better bass")
    newest, oldest = own_page(rater)["entries"]
    assert (newest["battle"], oldest["battle"]) == (second.battle_id, first.battle_id)
    assert (newest["preference"], newest["withdrawn"], newest["check"]) == ("TIE", False, None)
    assert newest["systems"] == {"A": second.battle.system_a.name, "B": second.battle.system_b.name}
    assert newest["prompt"]["text"] == second.battle.prompt.text
    assert newest["comment"] == "a better bass"


def test_withdrawn_votes_stay_marked_and_count_for_no_agreement(rater, study, live_model):
    _, taken_back = votes(rater, study, [later_name, later_name])
    withdraw_vote(rater, taken_back.battle_id, now=taken_back.received_at)
    shown = own_page(rater)
    assert [entry["withdrawn"] for entry in shown["entries"]] == [True, False]
    assert (shown["n_votes"], shown["n_withdrawn"]) == (2, 1)
    assert shown["agreement"]["with_model"]["of"] == 1
    assert shown["entries"][0]["model"] is None


def test_agreement_counts_the_decisive_votes_and_says_how_sure_it_is(rater, study, live_model):
    votes(rater, study, [later_name, later_name, earlier_name, "TIE", later_name])
    agreement = own_page(rater)["agreement"]["with_model"]
    assert (agreement["agreed"], agreement["of"]) == (3, 4)
    # Wilson's interval for 3 of 4: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.95996.
    assert (agreement["low"], agreement["high"]) == (0.3006, 0.9544)


def test_the_crowd_is_what_others_said_of_the_same_two_systems_in_the_same_study(rater, study):
    (mine,) = votes(rater, study, [later_name])
    votes(give_consent(None, study, 1), study, [later_name] * 6)
    (entry,) = own_page(rater)["entries"]
    assert entry["crowd"] == {"share_a": float(mine.preference == "A"), "n_votes": 2, "agrees": True}
    assert own_page(rater)["agreement"]["with_crowd"]["of"] == 1


def test_checks_are_labelled_and_say_whether_they_were_passed(rater, study, live_model):
    (vote,) = votes(rater, study, ["A"])
    gold_after(vote, "B", expected="A")
    repeat_after(vote, "B")
    labels = {entry["check"]["kind"]: entry["check"] for entry in own_page(rater)["entries"] if entry["check"]}
    assert labels["gold"] == {"kind": "gold", "expected": "A", "passed": False}
    assert labels["repeat"] == {"kind": "repeat", "expected": None, "passed": True}


def test_where_the_study_does_not_reveal_the_history_tells_no_more_than_the_vote_did(rater, study, live_model):
    (vote,) = votes(rater, study, ["A"])
    gold_after(vote, "B", expected="A")
    gold_after(vote, "A", expected="A", kind="practice")
    Study.objects.update(reveal=False)
    written = json.dumps(download(rater), default=str)
    for secret in ("alder", "birch", "cedar", "gold", "juror"):
        assert secret not in written
    kinds = [entry["check"]["kind"] for entry in own_page(rater)["entries"] if entry["check"]]
    assert kinds == ["practice"]
    assert own_page(rater)["agreement"] == {"with_model": None, "with_crowd": None}


def bias_fit(study, model, biases):
    fit = AnchorFit.objects.create(
        study=study, reward_model=model, ledger_seq=0, config={}, n_pairs=9, n_unscored=0, created_at=timezone.now()
    )
    for system, bias in biases.items():
        AnchorBias.objects.create(fit=fit, system=system, bias=bias, stderr=0.1, n_pairs=9)


def test_the_model_is_corrected_by_its_bias_in_each_study(rater, study, live_model):
    bias_fit(study, live_model, {system: 3.0 * place for place, system in enumerate(study.systems.order_by("name"))})
    (vote,) = votes(rater, study, [earlier_name])
    (entry,) = own_page(rater)["entries"]
    assert (entry["model"]["prefers"], entry["model"]["agrees"]) == (vote.preference, True)
    assert insight(rater, vote.battle_id)["agreement"]["with_model"] == {"agreed": 1, "of": 1}


@pytest.mark.parametrize(("margin", "expected"), [(50, 0.8), (-50, 0.2), (0.5, 0.2 + 0.6 / (1 + math.exp(-1)))])
def test_a_model_with_lapses_is_no_surer_of_a_corrected_margin_than_they_let_it(
    rater, study, live_model, margin, expected
):
    live_model.metrics = measured_and_calibrated(0.4)
    live_model.save()
    (vote,) = votes(rater, study, ["A"])
    rewards = dict(Reward.objects.filter(reward_model=live_model).values_list("clip", "value"))
    raw = rewards[vote.battle.clip_a_id] - rewards[vote.battle.clip_b_id]
    bias_fit(study, live_model, {vote.battle.system_a: raw - margin})
    assert insight(rater, vote.battle_id)["model"]["probability_a"] == pytest.approx(expected, abs=1e-4)


def test_the_queries_do_not_grow_with_the_votes(study, live_model):
    def queries(n_votes):
        rater = give_consent(None, study, 1)
        for vote in votes(rater, study, ["A"] * n_votes):
            repeat_after(vote, "B")
            gold_after(vote, "B", expected="A")
        with CaptureQueriesContext(connection) as page:
            own_page(rater)
        with CaptureQueriesContext(connection) as file:
            download(rater)
        return len(page), len(file)

    assert queries(1) == queries(5)


# ---- over HTTP ----


def test_without_a_cookie_the_page_is_calm_and_the_download_is_refused(client, study):
    assert "This browser has no answers of yours" in client.get("/me/").content.decode()
    assert client.get("/api/raters/me/history/").status_code == 401


def test_the_download_is_a_file_with_everything_that_is_kept(listener, study, time_passes):
    battle = listener.battle()
    time_passes(60)
    assert listener.vote(battle, comment="a better bass").status_code == 201
    Participation.objects.update(volume=0.5)
    found = {"screen": "pace", "version": 1, "result": "pass", "n_votes": 1, "at": timezone.now()}
    Screening.objects.create(rater=Rater.objects.get(), study=study, **found)
    Screening.objects.create(rater=Rater.objects.create(), study=study, **found)
    answer = listener.get("/api/raters/me/history/")
    assert "attachment" in answer["Content-Disposition"] and answer["Cache-Control"] == "private, no-store"
    (vote,), (of_study,), (screening,) = (answer.json()[part] for part in ("votes", "studies", "screenings"))
    assert (vote["battle"], vote["comment"]) == (battle["id"], "a better bass")
    assert (of_study["study"], of_study["volume"], of_study["agreed"][0]["version"]) == ("open", 0.5, 1)
    assert (screening["study"], screening["screen"], screening["result"]) == ("open", "pace", "pass")


def test_the_download_tells_how_every_clip_was_listened_to_and_what_rules_found_of_it(rater, study):
    played = [{"t": 900, "kind": "play"}, {"t": 5000, "kind": "decided"}]
    (cast,) = votes(rater, study, ["A"], events=played, user_agent="a browser", language="de")
    flag(cast, "pace", 3, detail={"twin": "somebody else"})
    (vote,) = download(rater)["votes"]
    kept = {field.name for field in Vote._meta.concrete_fields} - {"id", "rater", "idempotency_key", "received_at"}
    assert kept - {"heard_a_ms", "heard_b_ms"} <= vote.keys()
    assert (vote["heard"], vote["first_played"], vote["switches"]) == (HEARD, "A", 1)
    assert (vote["events"], vote["device"], vote["language"]) == (cast.details.events, "a browser", "de")
    assert ("pace", 3) in [(found["rule"], found["version"]) for found in vote["flags"]]
    assert "somebody else" not in json.dumps(vote, default=str)


def test_the_page_goes_on_to_older_answers(rater, study, client, monkeypatch):
    monkeypatch.setattr("scoring.listeners.own_page.PER_PAGE", 2)
    votes(rater, study, ["A", "B", "TIE"])
    sign_in(client.cookies, rater)
    newest, oldest = (client.get("/me/", {"page": page}).content.decode() for page in (1, 2))
    assert "Older" in newest and "You found them equally good." in newest and "You preferred A." not in newest
    assert "Newer" in oldest and "You preferred A." in oldest
    assert client.get("/me/", {"page": "nonsense"}).status_code == 200


def cookie_of(rater):
    return get_cookie_signer(salt=django_settings.RATER_COOKIE + SALT).sign(str(rater.pk))


def sign_in(cookies, rater):
    cookies[django_settings.RATER_COOKIE] = cookie_of(rater)


# ---- in a browser ----


@pytest.fixture
def visitor(chromium, transactional_db, rater, study, live_server, live_model):
    study.name = "Music of three machines"
    study.save()
    taken_back, *_ = votes(rater, study, ["A", "B", "TIE"], comment="The drums of A drag a little.")
    withdraw_vote(rater, taken_back.battle_id, now=taken_back.received_at)
    context = chromium.new_context(viewport={"width": 1024, "height": 900})
    context.add_cookies([{"name": django_settings.RATER_COOKIE, "value": cookie_of(rater), "url": live_server.url}])
    visitor = stage.Visitor(context.new_page(), live_server.url).open("/me/")
    yield visitor
    context.close()
    assert visitor.faults == [], "the page raised errors"


def leave_something(visitor):
    visitor.page.evaluate(
        """async () => {
            localStorage.setItem('arena.preference.volume', '0.4');
            sessionStorage.setItem('arena.signal.open', 'told');
            await (await import('/static/js/outbox.js')).put('some-battle', 'open', { preference: 'A' });
        }"""
    )
    visitor.page.route("**/vote/", lambda route: route.abort())
    visitor.open("/me/")


def what_is_left(visitor):
    return visitor.page.evaluate(
        """async () => [localStorage.length + sessionStorage.length,
            await (await import('/static/js/outbox.js')).count()]"""
    )


def press(visitor, name):
    visitor.page.get_by_role("button", name=name, exact=True).filter(visible=True).last.click()
    return visitor


@pytest.mark.django_db(transaction=True)
def test_everything_can_be_withdrawn_after_a_word_of_what_stays(visitor):
    leave_something(visitor)
    press(visitor, "Withdraw all my answers").sees("What stays:")
    press(visitor, "Keep them")
    assert Flag.objects.filter(rule=Flag.WITHDRAWN).count() == 1
    press(visitor, "Withdraw all my answers").sees("What happens:")
    press(visitor, "Withdraw them").sees("All of them are withdrawn.")
    assert Flag.objects.filter(rule=Flag.WITHDRAWN).count() == 3
    assert what_is_left(visitor) == [0, 0]
    assert not visitor.page.get_by_role("button", name="Withdraw all my answers").is_visible()


@pytest.mark.django_db(transaction=True)
def test_who_deletes_themselves_is_gone_here_and_there(visitor):
    leave_something(visitor)
    press(visitor, "Delete my data").sees("Delete all your data?")
    press(visitor, "Delete my data").sees("Your data is deleted")
    assert Rater.objects.get().withdrawn_at
    assert what_is_left(visitor) == [0, 0]
    visitor.open("/me/").sees("This browser has no answers of yours")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["Delete my data", "Withdraw all my answers"])
def test_a_key_held_down_opens_the_question_and_answers_nothing(visitor, name):
    visitor.page.get_by_role("button", name=name, exact=True).filter(visible=True).focus()
    for _ in range(3):
        visitor.page.keyboard.down("Enter")  # again and again is what a held key says
    title = visitor.page.locator("dialog[open] h2")
    assert title.evaluate("(title) => title === document.activeElement")
    visitor.page.locator("dialog[open] [data-confirm]").focus()
    visitor.page.keyboard.down("Enter")
    visitor.page.wait_for_timeout(200)
    assert title.is_visible() and Flag.objects.count() == 1 and not Rater.objects.get().withdrawn_at
    visitor.page.keyboard.up("Enter")
    visitor.press("Shift+Tab").press("Enter")
    assert not title.is_visible(), "the safe answer comes first"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "sure"), [("Delete my data",) * 2, ("Withdraw all my answers", "Withdraw them")])
def test_other_tabs_are_told_to_drop_what_waits_in_them(visitor, name, sure):
    tab = visitor.page.context.new_page()
    tab.goto(visitor.address + "/me/")
    tab.evaluate(
        """() => {
            window.told = [];
            window.channel = new BroadcastChannel('arena.outbox');
            window.channel.onmessage = ({ data }) => { window.told.push(data); };
        }"""
    )
    press(visitor, name).sees("What happens:")
    press(visitor, sure)
    for _ in range(600):  # not wait_for_function, which the policy of the page refuses to evaluate
        if tab.evaluate("window.told.includes('forget')"):
            return
        tab.wait_for_timeout(100)
    pytest.fail("the other tab was not told within a minute")


@pytest.mark.django_db(transaction=True)
def test_the_page_is_for_every_screen_finger_and_eye(visitor):
    assert visitor.page.locator(".entry s").count() == 1 and visitor.sees("withdrawn")
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)
        assert visitor.axe() == []
    assert visitor.fits_phones()
    press(visitor, "Delete my data").sees("Delete all your data?")
    assert visitor.fits_phones()
    assert visitor.axe() == []
