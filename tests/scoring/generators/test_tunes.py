"""Tunes: what the composer wrote survives the way to tokens and back, and the grammar allows tunes only."""

import numpy as np
import pytest

from scoring.demo.composer import compose, read_brief
from scoring.demo.systems import PROMPTS
from scoring.generators import corpus, grammar
from scoring.generators.grammar import Due
from scoring.generators.tokens import (
    BEGIN,
    END,
    ID,
    N_TOKENS,
    NAMES,
    PAD,
    PLAY,
    STOP,
    InvalidTune,
    caption_tokens,
    decode,
    encode,
)
from scoring.generators.tunes import Tune, to_score, to_tune

TUNE = Tune(
    "waltz", "minor", 148.0, {"lead": "flute", "bass": "round bass"}, (0, 4), (((3, 8), (None, 4)), ((-1, 12),)), 12
)


def composed(prompt, seed, seconds=14.0):
    return compose(read_brief(prompt.text), seconds, np.random.default_rng(seed))


@pytest.mark.parametrize("prompt", PROMPTS, ids=[prompt.tags[0] for prompt in PROMPTS])
@pytest.mark.parametrize("seed", range(5))
def test_a_composed_piece_comes_back_from_its_tokens_note_by_note(prompt, seed):
    score = composed(prompt, seed)

    tune = decode(encode(to_tune(score)))
    played = to_score(Tune(**{**vars(tune), "bpm": score.brief.bpm}), score.key.tonic % 12, 14.0)

    assert played.parts == score.parts
    assert played.hits == score.hits
    assert played.chords == score.chords


def test_the_same_tune_in_another_key_is_higher_by_that():
    c, d = (to_score(TUNE, tonic, 4.0).parts["lead"] for tonic in (0, 2))

    assert [after.pitch - before.pitch for before, after in zip(c, d, strict=True)] == [2, 2, 2]


def test_tokens_read_like_the_tune():
    assert [NAMES[token] for token in encode(TUNE)] == [
        "style waltz", "mode minor", "tempo 148", "voice lead flute", "voice bass round bass",
        "BAR 2", "degree 0", "pitch 3", "length 8", "REST", "length 4", "BAR 1", "degree 4", "pitch -1", "length 12",
        "END", "pitch 12", "STOP",
    ]  # fmt: skip


def test_a_caption_is_the_words_that_are_known_and_the_tempo_nearest_to_the_stated_one():
    names = [NAMES[token] for token in caption_tokens("Dark trance, quite odd, at 139 bpm with lo-fi electric piano")]

    assert names == [
        "BEGIN", "word dark", "word trance", "tempo 140", "word lo-fi", "word electric", "word piano", "PLAY",
    ]  # fmt: skip
    assert caption_tokens("") == [BEGIN, PLAY]
    assert len(caption_tokens("dark " * 100)) == 18


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda names: names[1:], "token 0: style is due here, not mode minor"),
        (lambda names: [*names[:3], *names[4:]], "no voice plays the melody"),
        (lambda names: [*names[:4], names[3], *names[4:]], "named twice, or out of order"),
        (lambda names: [*names[:11], "BAR 2", *names[12:]], "bar 1 from the end is missing"),
        (lambda names: [*names[:8], "length 9", *names[9:]], "a note of 4 where the bar has room for 3"),
        (lambda names: [*names[:7], *names[8:]], "pitch is due here, not length 8"),
        (lambda names: names[:-1], "STOP is due here, not nothing"),
        (lambda names: [], "style is due here, not nothing"),
    ],
)
def test_what_is_no_tune_says_where_it_stops_being_one(change, words):
    names = [NAMES[token] for token in encode(TUNE)]
    with pytest.raises(InvalidTune, match=words):
        decode([ID[name] for name in change(names)])


def test_a_pitch_out_of_the_range_or_too_many_bars_are_refused():
    with pytest.raises(ValueError, match="pitch 25"):
        encode(Tune(**{**vars(TUNE), "ending": 25}))
    with pytest.raises(ValueError, match="1 to 64 bars, not 65"):
        encode(Tune(**{**vars(TUNE), "lead": TUNE.lead[:1] * 65}))


def walk(state, choose, n=400):
    """Tokens [B, T] of a walk through the grammar, to the end of all tunes."""
    written = []
    while (state.due != Due.NOTHING).any() and len(written) < n:
        token = choose(grammar.allowed(state))
        written.append(token)
        state = grammar.advance(state, token)
    return np.array(written).T


@pytest.mark.parametrize("seconds", [8.0, 13.0, 45.0])
def test_whatever_the_grammar_allows_is_a_tune_of_the_length_asked_for(seconds):
    rng = np.random.default_rng(1)

    rows = walk(
        grammar.begin([seconds] * 50), lambda mask: np.array([rng.choice(np.flatnonzero(row)) for row in mask]), 2000
    )

    for row in rows:
        tune = decode(row.tolist())
        score = to_score(tune, 0, seconds)
        assert score.ending <= score.beats <= score.ending + tune.bpm / 60 + 4  # no further bar would fit
        assert row[-1] in (STOP, PAD) and END in row


def test_every_tune_of_the_corpus_is_allowed_by_the_grammar():
    examples = list(corpus.examples(60))
    rows = [encode(example.tune) for example in examples]
    tokens = np.array([row + [PAD] * (max(map(len, rows)) - len(row)) for row in rows])

    masks = grammar.masks(tokens, [example.seconds for example in examples])

    assert np.take_along_axis(masks, tokens[..., None], axis=2).all()
    assert masks.shape == (*tokens.shape, N_TOKENS) and masks.any(axis=2).all()


def test_forked_states_go_on_from_the_rows_they_are_forked_from():
    state = grammar.begin([13.0, 13.0])
    state = grammar.advance(state, np.array([ID["style waltz"], ID["style rock"]]))
    forked = state.rows(np.array([1, 1, 0]))

    assert forked.style.tolist() == [state.style[1], state.style[1], state.style[0]]
    grammar.advance(forked, np.full(3, ID["mode major"]))
    assert forked.due.tolist() == [Due.MODE] * 3  # advance leaves the state before it as it was


def test_a_length_without_a_bar_is_refused():
    with pytest.raises(ValueError, match="1 s: no tune of every style has that length"):
        grammar.begin([13.0, 1.0])


def test_the_corpus_is_the_same_for_the_same_seed_and_flawed_as_planned():
    examples, again = list(corpus.examples(300)), list(corpus.examples(300))

    assert examples == again
    assert next(corpus.examples(1, seed=1)) != examples[0]
    wrong = sum(corpus.harmony(example.tune) < 1 for example in examples) / 300
    text = np.mean([corpus.text(example.tune, example.caption) for example in examples])
    assert 0.3 < wrong < 0.5
    assert 0.7 < text < 0.9


def test_the_truth_of_a_tune_is_counted_by_hand():
    assert corpus.harmony(TUNE) == 1  # a minor third, the raised leading tone, the octave
    assert corpus.harmony(Tune(**{**vars(TUNE), "mode": "major"})) == pytest.approx((12 + 4) / (8 + 12 + 4))
    assert corpus.text(TUNE, "sad waltz at 150 bpm with flute") == 1
    assert corpus.text(TUNE, "happy waltz at 120 bpm with piano") == pytest.approx(1 / 5)  # piano: lead and chords
    assert corpus.text(TUNE, "something") == 1
    assert corpus.truth(None, "waltz") == 0
