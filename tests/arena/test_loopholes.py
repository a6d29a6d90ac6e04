"""What a liar, a shared browser or a setting that was moved must not get, nor a total give away."""

import pytest
from django.utils import timezone

from annotations.models import Flag
from arena.models import Battle, Clip, Excerpt, Participation, Prompt, Rater, Study
from arena.serving import process_cache
from tests.casts.clips import make_clips
from tests.casts.joining import PID, FromPlatform, enter, hear
from tests.casts.listener import Listener
from tests.casts.sitting import add_variant, right


def test_a_code_is_signed_for_nobody_else(coded, time_passes):
    sitting = FromPlatform(time_passes).to_the_end(right)
    somebody_else = {"platform": {"PROLIFIC_PID": "an accomplice"}}
    refused = sitting.listener.post("/api/studies/open/completion/", somebody_else)
    assert (refused.status_code, refused.json()["code"]) == (403, "platform_needed")


def test_a_participant_gets_at_nothing_that_the_browsers_rater_did_elsewhere(study):
    browser = Listener().agree()
    other = Study.objects.create(slug="other", name="Other", platform={"participant": "PROLIFIC_PID"})
    browser.agree(study="other", platform={"PROLIFIC_PID": PID})
    assert Rater.objects.count() == 2
    stranger = Listener().agree(study="other", platform={"PROLIFIC_PID": PID})
    (seen,) = stranger.get("/api/raters/me/history/").json()["studies"]
    assert seen["study"] == other.slug


def test_how_it_ended_is_noted(coded, time_passes):
    FromPlatform(time_passes).to_the_end(right).complete()
    participation = Participation.objects.get()
    assert participation.outcome == "completed" and participation.finished_at


def test_a_check_that_could_be_played_and_failed_is_not_made_unknown_by_a_second_that_could_not(coded):
    coded.headphones = "required"
    coded.save()
    listener, _ = enter()
    hear(listener, coded, right=False)
    listener.post("/api/studies/open/headphones/")
    result = listener.post("/api/studies/open/headphones/2/", {"unplayable": True}).json()
    assert result["result"] == "fail"


def test_votes_without_the_recommended_headphones_are_flagged_and_count(study, time_passes):
    study.headphones = "recommended"
    study.save()
    listener = Listener().agree()
    hear(listener, study, right=False)
    battle = listener.battle()
    time_passes(9)
    assert listener.vote(battle).status_code == 201
    assert Flag.objects.get().rule == "no_headphones"


def test_a_study_whose_end_is_moved_serves_no_battle_that_it_would_not_take_a_vote_for(study, listener):
    first = listener.battle()
    Study.objects.update(ends_at=timezone.now())
    assert listener.post("/api/battles/").json()["code"] == "closed"
    assert listener.vote(first).status_code == 410


def test_more_like_this_has_an_end(study, listener, time_passes):
    first = listener.battle()
    time_passes(9)
    listener.vote(first)
    answers = [listener.post("/api/battles/", {"like": first["id"]}) for _ in range(4)]
    assert [answer.status_code for answer in answers][2:] == [409, 409]
    assert Battle.objects.filter(closed_at=None).count() <= 2


def test_the_total_does_not_tell_a_check_from_an_ordinary_battle(study, time_passes):
    """With quotas: a battle that is served takes a place in its pair's, which must not show."""
    study.votes_per_pair, study.golds, study.block_length = 1, 2, 3
    study.save()
    for clip in Clip.objects.all():
        add_variant(clip, "lowpass")
    listener, totals = Listener().agree(), []
    while (answer := listener.post("/api/battles/")).status_code == 201:
        totals.append(answer.json()["progress"]["total"])
        time_passes(9)
        listener.vote(answer.json(), key=str(len(totals)))
    assert Battle.objects.filter(kind="gold").exists()
    assert len(set(totals)) == 1, totals


def test_who_asks_while_clips_are_being_cut_has_not_finished(study, listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle)
    Excerpt.objects.update(status="pending")
    process_cache.forget()
    assert listener.post("/api/battles/").json()["code"] == "not_ready"
    assert listener.post("/api/studies/open/completion/").json()["code"] == "not_finished"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x0b"])
def test_the_lines_of_prompt_and_lyrics_stay_lines_whatever_ends_them(study, end):
    prompt = Prompt.objects.create(text=f"A waltz{end}with a break", lyrics=f"One,{end}{end}two")
    one = Study.objects.create(slug="one", name="One", excerpt_s=10)
    one.systems.set(study.systems.all())
    one.prompts.set([prompt])
    make_clips(study.systems.all(), [prompt])
    battle = Listener().agree(study="one").battle(study="one")
    assert battle["prompt"] == {"text": "A waltz\nwith a break", "lyrics": "One,\n\ntwo"}
