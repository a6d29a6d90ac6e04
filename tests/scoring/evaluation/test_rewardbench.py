"""CMI-RewardBench: what a line of its file means, and the figures, against pandas and against hand-made cases."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from scoring.evaluation.rewardbench import published, report, tables
from scoring.evaluation.rewardbench.rows import BadRow, read, select

PAM = {"source": "PAM (music)", "audio-path": "human_eval/1.wav", "musicality": 3.5, "text-music alignment": "2"}
MUSIC_EVAL = {"source": "MusicEval", "audio-path": "MusicEval_data/test_audio/1.wav", "musicality": 2.8}
ARENA = {
    "source": "Music Arena ['01-2025JULAUG', '04-2025NOV']",
    "audio-path": "MusicArena_data/audio_files/04-2025NOV/original-1-a.mp3",
    "audio2": "MusicArena_data/audio_files/04-2025NOV/original-1-b.mp3",
    "preference": "A",
}
CMI = {
    "source": "cmi-arena-annotation",
    "audio-path": "cmi-pref/gen-audio/a.mp3",
    "audio2": "cmi-pref/gen-audio/b.mp3",
    "prompt": "lofi hip hop",
    "lyrics": "",
    "ref-audio-path": "",
    "preference": {"music_quality": {"preference": "model_b"}},  # as in the released file, where pairs have more axes
    "preference-musicality": "model_a",
    "preference-alignment": "model_b",
    "confidence_preference-musicality": "2.0",
    "confidence_preference-alignment": 3,
}


@pytest.fixture(autouse=True)
def few_bootstraps(monkeypatch):
    monkeypatch.setattr(tables, "BOOTSTRAPS", 50)


def rows_of(*lines):
    return select(enumerate(({"split": "test", **line} for line in lines), 1)).rows


def row_of(line, **changes):
    (row,) = rows_of({**line, **changes})
    return row


def the(figures, *, task=None, metric=None, group="all", value="", ref_category=""):
    """The one figure of these names."""
    (found,) = [
        f
        for f in figures
        if (task is None or f.task == task)
        and (metric is None or f.metric == metric)
        and (f.group, f.value, f.ref_category) == (group, value, ref_category)
    ]
    return found


# ---- lines ---------------------------------------------------------------------------------------------


def test_a_line_is_of_the_dataset_that_its_source_names():
    sources = ["PAM (music)", "MusicEval", "SongEval", ARENA["source"], "cmi-arena-annotation"]
    found = rows_of(*({"source": source, "audio-path": "x.wav", "audio2": "y.wav"} for source in sources))
    assert [row.dataset for row in found] == ["PAM", "MusicEval", "MusicEval", "MusicArena", "CMI-Pref"]


@pytest.mark.parametrize(
    ("label", "meaning"),
    [("A", "A"), ("a", "A"), ("model_a", "A"), (" Model_B", "B"), ("b", "B"), ("both", "both"), ("neither", "both")],
)
def test_labels_are_read_as_the_benchmark_writes_them(label, meaning):
    assert row_of(ARENA, preference=label).truth == {"preference": meaning}
    assert row_of(CMI, **{"preference-alignment": label}).truth["alignment"] == meaning


@pytest.mark.parametrize("label", ["tie", "model_c", 1, True, ["A"]])
def test_a_label_that_nobody_knows_is_an_error_that_names_line_and_key(label):
    with pytest.raises(BadRow, match=r"line 2: preference-musicality is .* not one of a, model_a"):
        rows_of(CMI, {**CMI, "preference-musicality": label})


@pytest.mark.parametrize("label", [None, "", "  ", math.nan])
def test_a_row_without_a_label_has_no_truth(label):
    assert row_of(ARENA, preference=label).truth == {"preference": None}


def test_a_key_that_is_not_there_is_a_truth_that_is_not_there():
    bare = row_of({"source": "cmi-arena-annotation"})
    assert bare.truth == bare.confidence == {"musicality": None, "alignment": None}
    assert bare.sides == ("", "")
    assert bare.modality == "text"


@pytest.mark.parametrize("mos", [None, "", math.nan])
def test_an_opinion_score_that_is_missing_is_left_out(mos):
    assert row_of(PAM, musicality=mos).truth == {"musicality": None, "alignment": 2.0}


@pytest.mark.parametrize("mos", ["good", math.inf, True, [3]])
def test_an_opinion_score_that_is_no_number_is_an_error_that_names_line_and_key(mos):
    with pytest.raises(BadRow, match=r"line 1: text-music alignment is .* not a number"):
        row_of(PAM, **{"text-music alignment": mos})


def test_the_month_of_a_pair_is_the_second_folder_below_music_arena_data():
    assert row_of(ARENA).month == "04-2025NOV"
    assert row_of(ARENA, **{"audio-path": "elsewhere/a.mp3"}).month == "04-2025NOV"
    assert row_of(ARENA, **{"audio-path": "a.mp3", "audio2": "MusicArena_data/b.mp3"}).month == "unknown"


def test_a_pair_is_of_the_modality_that_its_lyrics_and_reference_say_unless_it_names_one():
    assert row_of(CMI).modality == "text"
    assert row_of(CMI, lyrics="la").modality == "text+lyrics"
    assert row_of(CMI, **{"ref-audio-path": "r.mp3"}).modality == "text+ref"
    assert row_of(CMI, lyrics="la", **{"ref-audio-path": "r.mp3"}).modality == "text+lyrics+ref"
    assert row_of(CMI, lyrics=None).modality == "text"
    assert row_of(CMI, lyrics="la", modality="text+ref").modality == "text+ref"


def test_other_splits_and_unknown_sources_are_counted():
    lines = [PAM, {**PAM, "split": "train"}, {**PAM, "source": "Suno Arena"}, {**PAM, "source": None}]
    found = select([(n, {"split": "test", **line}) for n, line in enumerate(lines)] + [(9, PAM)])
    assert len(found.rows) == 1
    assert found.left_out == {
        "split 'train'": 1,
        "unknown source 'Suno Arena'": 1,
        "unknown source None": 1,
        "no split": 1,
    }


def test_a_limit_is_for_each_dataset_and_what_is_beyond_it_is_counted():
    lines = [(n, {"split": "test", **line}) for n, line in enumerate([PAM, PAM, PAM, ARENA])]
    found = select(lines, limit=1)
    assert [row.dataset for row in found.rows] == ["PAM", "MusicArena"]
    assert found.left_out == {"PAM beyond the limit of 1": 2}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"split": "test", \n', "line 1: not JSON"),
        ("\n[1]\n", "line 2: a JSON object is expected, not list"),
        ('{"split": "test", "source": "PAM", "audio-path": 7}', "line 1: audio-path is 7, not a text"),
        ('{"split": "train", "source": "PAM"}', "no row to evaluate .1 of split 'train'"),
        ("", "the file is empty"),
        (b"\xff\xfe", "not a text in UTF-8"),
    ],
)
def test_a_file_that_is_not_the_benchmarks_says_where(tmp_path, content, complaint):
    path = tmp_path / "all_test.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadRow, match=complaint):
        read(path)


# ---- figures -------------------------------------------------------------------------------------------


def test_correlations_are_those_of_pandas_with_ties_in_both():
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 6, size=80) / 2
    rewards = np.round(truth + rng.normal(size=80), 0)
    rows = rows_of(*({**PAM, "musicality": float(t), "text-music alignment": str(t)} for t in truth))
    figures = tables.summary(rows, [(float(r),) for r in rewards])
    frame = pd.DataFrame({"truth": truth, "reward": rewards})
    for task in ("musicality", "alignment"):
        for metric, method in (("LCC", "pearson"), ("SRCC", "spearman"), ("K-Tau", "kendall")):
            figure = the(figures, task=task, metric=metric)
            assert figure.figure == pytest.approx(frame["truth"].corr(frame["reward"], method=method), abs=1e-12)
            assert figure.n == 80
            assert figure.low < figure.figure < figure.high


def test_a_clip_without_score_or_reward_is_in_no_correlation():
    rows = rows_of(*({**MUSIC_EVAL, "musicality": mos} for mos in (1, 2, 3, None, 5)))
    rewards = [(1.0,), (2.0,), (3.0,), (-9.0,), (None,)]
    figure = the(tables.summary(rows, rewards), metric="LCC")
    assert (figure.n, figure.figure) == (3, pytest.approx(1))
    (cover,) = tables.coverage(rows, rewards)
    assert (cover.rows, cover.used, cover.without_truth, cover.without_reward) == (5, 3, 1, 1)


def test_where_nothing_varies_there_is_no_correlation_and_no_interval():
    figures = tables.summary(rows_of(MUSIC_EVAL, MUSIC_EVAL), [(1.0,), (1.0,)])
    assert [(f.figure, f.low, f.high) for f in figures] == [(None, None, None)] * 3


@pytest.mark.parametrize(("n", "interval"), [(9, False), (10, True)])
def test_a_correlation_of_fewer_than_ten_clips_has_no_interval(n, interval):
    rng = np.random.default_rng(1)
    rows = rows_of(*({**MUSIC_EVAL, "musicality": float(mos)} for mos in rng.normal(size=n)))
    for figure in tables.summary(rows, [(float(reward),) for reward in rng.normal(size=n)]):
        assert figure.figure is not None
        assert (figure.low is not None) == (figure.high is not None) == interval


def test_a_truth_of_both_or_neither_counts_half_whatever_is_predicted():
    pairs = [(label, rewards) for label in ("both", "neither") for rewards in ((1.0, 0.0), (0.0, 1.0))]
    rows = rows_of(*({**CMI, "preference-musicality": label} for label, _ in pairs))
    figure = the(tables.summary(rows, [rewards for _, rewards in pairs]), task="musicality")
    assert (figure.n, figure.figure) == (4, 0.5)


def test_a_predicted_tie_is_b_in_cmi_pref():
    rows = rows_of(*({**CMI, "preference-musicality": label} for label in ("A", "B", "B", "both")))
    figure = the(tables.summary(rows, [(2.0, 2.0)] * 4), task="musicality")
    assert (figure.figure, figure.n_ties) == ((0 + 1 + 1 + 0.5) / 4, 4)


def test_a_predicted_tie_in_music_arena_is_a_in_the_total_and_b_in_its_month():
    rows, rewards = rows_of(ARENA, ARENA, {**ARENA, "preference": "B"}), [(1.0, 1.0)] * 3
    assert the(tables.summary(rows, rewards)).figure == pytest.approx(2 / 3)
    assert the(tables.detail(rows, rewards), group="month", value="04-2025NOV").figure == pytest.approx(1 / 3)


def test_both_axes_of_cmi_pref_have_their_own_truth_and_the_same_prediction():
    figures = tables.summary(rows_of(CMI), [(1.0, 0.0)])
    assert the(figures, task="musicality").figure == 1
    assert the(figures, task="alignment").figure == 0


def test_a_pair_with_one_reward_is_left_out_and_counted():
    rewards = [(1.0, None), (1.0, 0.0)]
    figure = the(tables.summary(rows_of(ARENA, ARENA), rewards))
    assert (figure.n, figure.figure) == (1, 1)
    (cover,) = tables.coverage(rows_of(ARENA, ARENA), rewards)
    assert (cover.used, cover.without_reward) == (1, 1)


def test_confidence_is_below_at_or_above_three_with_and_without_reference():
    sure = ("1.5", 2.9, "3.0", 3, 3.5, "", None)
    rows = rows_of(
        *({**CMI, "confidence_preference-musicality": c, "ref-audio-path": "r" * (n % 2)} for n, c in enumerate(sure))
    )
    figures = [f for f in tables.detail(rows, [(1.0, 0.0)] * 7) if f.task == "musicality" and f.group == "confidence"]
    counts = {(f.value, f.ref_category): f.n for f in figures}
    assert counts == {
        ("<3", "no_ref"): 1,
        ("<3", "ref"): 1,
        ("<3", "all"): 2,
        ("=3", "no_ref"): 1,
        ("=3", "ref"): 1,
        ("=3", "all"): 2,
        (">3", "no_ref"): 1,
        (">3", "all"): 1,
    }


def test_parts_of_cmi_pref_are_by_modality_reference_and_lyrics():
    rows = rows_of(
        CMI,
        {**CMI, "lyrics": "la", "preference-musicality": "B"},
        {**CMI, "ref-audio-path": "r"},
        {**CMI, "lyrics": "la", "ref-audio-path": "r"},
    )
    figures = [f for f in tables.detail(rows, [(1.0, 0.0)] * 4) if f.task == "musicality"]
    shown = {(f.group, f.value): (f.n, f.figure) for f in figures if f.group != "confidence"}
    assert shown == {
        ("modality", "text"): (1, 1),
        ("modality", "text+lyrics"): (1, 0),
        ("modality", "text+ref"): (1, 1),
        ("modality", "text+lyrics+ref"): (1, 1),
        ("ref_subset", "no_ref"): (2, 0.5),
        ("ref_subset", "ref"): (2, 1),
        ("modality_type", "instru"): (2, 1),
        ("modality_type", "vocal"): (2, 0.5),
    }


def test_the_means_of_the_papers_tables_take_what_is_there():
    rows = rows_of(CMI, {**CMI, "lyrics": "la", "preference-alignment": "A"})
    rewards = [(1.0, 0.0)] * 2
    means = tables.composites(tables.summary(rows, rewards) + tables.detail(rows, rewards))
    assert means == {
        "PAM mean SRCC": None,
        "CMI-Pref mean ACC": 0.75,
        "CMI-Pref alignment without reference audio": 0.5,
        "CMI-Pref alignment with reference audio": None,
    }


def test_the_interval_of_an_accuracy_is_wilsons():
    rows = rows_of(*[ARENA] * 8, *[{**ARENA, "preference": "B"}] * 2)
    figure = the(tables.summary(rows, [(1.0, 0.0)] * 10))
    assert (figure.low, figure.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # 8 of 10: a textbook case


# ---- the report ----------------------------------------------------------------------------------------


def test_the_report_says_that_one_scalar_fills_both_columns_and_stands_beside_the_published():
    rows = rows_of(PAM, {**PAM, "musicality": 1}, MUSIC_EVAL, ARENA, CMI)
    text = report.as_text(report.make("ours", rows, [(1.0,), (0.0,), (1.0,), (1.0, 0.0), (1.0, 0.0)], {"split 'x'": 3}))
    assert "fills both the musicality and the alignment columns" in text
    assert "lines left out: 3 (split 'x')" in text
    ours, alignment = text.split("\nMusicality\n")[1].split("\nAlignment\n")
    assert "100.00" in ours  # Music Arena
    for name in ("Gemini3-pro", "SongEval-RM", "CMI-RM", "TuneJury, with prompt", "MuQ-Eval-A1"):
        (line,) = [line for line in ours.splitlines() if line.startswith(f"  {name} ")]
        assert line.endswith(("benchmark's README", "TuneJury's docs", "TuneJury's baselines"))
    assert "benchmark's README: README.md of github.com/Haiwen-Xia/CMI-RewardBench, commit 8a4c729." in text
    assert "CLAP score (music)" in alignment
    assert "SongEval-RM" not in alignment.split("Means")[0]


def test_every_published_column_is_one_that_the_tables_show():
    shown = {*report.MUSICALITY.values(), *report.ALIGNMENT.values()}
    assert {column for row in published.PUBLISHED for column in row.figures} <= shown


def test_the_json_holds_numbers_and_no_nan():
    rows = rows_of(MUSIC_EVAL, CMI)
    made = report.make("ours", rows, [(1.0,), (None, 1.0)], {})
    assert json.loads(json.dumps(report.as_json(made), allow_nan=False))["summary"][0]["figure"] is None


def test_results_are_in_the_form_that_the_benchmarks_script_reads():
    rows = rows_of(PAM, CMI, CMI, ARENA)
    pam, tied, unheard, arena = report.results(rows, [(0.5,), (1.0, 1.0), (1.0, None), (2.0, 1.0)])
    assert (pam["predicted_musicality"], pam["predicted_text-music alignment"]) == (0.5, 0.5)
    assert pam["musicality"] == 3.5
    assert tied["predicted_preference-musicality"] == tied["predicted_preference-alignment"] == "model_b"
    assert "predicted_preference" not in unheard
    assert "predicted_musicality_b" not in unheard
    assert arena["predicted_preference"] == "model_a"
    assert arena["predicted_musicality_b"] == 1.0
