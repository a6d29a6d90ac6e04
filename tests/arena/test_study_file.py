"""A study as a file: what is wrong is said with its line, all at once; what is right is the study."""

import io
from datetime import UTC, datetime
from random import Random
from textwrap import dedent

import pytest
from django.core.management import CommandError, call_command

from arena import study_file
from arena.models import Battle, Prompt, Study
from arena.services import give_consent

WHOLE = """\
slug: panel
name: Listening panel
systems: [alder, birch]
prompts:
  - A calm piano ballad
  - text: Sea shanty
    lyrics: |
      Heave,
      ho
answers: [A, B, TIE]
questions: {degree: true, axes: [musicality], tags: ["no"]}
min_listen_ms: 2000
headphones: off
ends_at: 2027-01-31T18:00:00+01:00
golds: 1
completion:
  codes:
    completed: "0123"
"""


@pytest.fixture
def file(tmp_path):
    """file(text): a file panel.yaml with that text, its path."""

    def write(text, name="panel.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return path

    return write


def load(*paths):
    """What `study load` prints: (standard output, standard error)."""
    out, err = io.StringIO(), io.StringIO()
    call_command("study", "load", *map(str, paths), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def problems(*paths):
    """The lines of what `study load` refuses, without the folders."""
    with pytest.raises(CommandError) as refused:
        load(*paths)
    first, *lines = str(refused.value).replace(f"{paths[0].parent}/", "").splitlines()
    assert first.startswith(f"Nothing was written: {len(lines)} problem")
    return lines


def dump(slug):
    return study_file.dump(Study.objects.get(slug=slug))


def vote_in(study):
    """As far as the stage can see: a battle that has been answered."""
    battle = Battle.objects.create(
        study=study, kind="imported", system_a=study.systems.all()[0], system_b=study.systems.all()[1],
        served_at=datetime.now(UTC), closed_at=datetime.now(UTC), close_reason="voted",
    )  # fmt: skip
    return battle


# ---- what is right --------------------------------------------------------------------------------------


def test_a_file_becomes_a_study_and_what_it_leaves_out_has_its_default(study, file):
    out, _ = load(file(WHOLE))
    panel = Study.objects.get(slug="panel")
    assert out == "panel: created\n"
    assert [system.name for system in panel.systems.all()] == ["alder", "birch"]
    assert set(panel.prompts.values_list("text", "lyrics")) == {
        ("A calm piano ballad", ""),
        ("Sea shanty", "Heave,\nho"),
    }
    assert panel.answers == ["A", "B", "TIE"]
    assert panel.questions == {"degree": True, "axes": ["musicality"], "tags": ["no"], "comment": True}
    assert panel.ends_at == datetime(2027, 1, 31, 17, tzinfo=UTC)
    assert (panel.headphones, panel.golds, panel.min_listen_ms) == ("off", 1, 2000)
    assert panel.completion == {"codes": {"completed": "0123"}}
    assert (panel.excerpt_s, panel.epsilon, panel.reveal) == (30, 0.1, True)
    assert not panel.is_default


def test_what_a_file_no_longer_says_goes_back_to_its_default(study, file):
    load(file(WHOLE))
    out, _ = load(file("slug: panel\nname: Listening panel\nsystems: [alder, birch, cedar]\nmin_listen_ms: 2000\n"))
    panel = Study.objects.get(slug="panel")
    assert panel.golds == 0
    assert panel.ends_at is None
    assert not panel.prompts.exists()
    assert set(out.removeprefix("panel: changed: ").strip().split(", ")) == {
        "systems", "prompts", "ends_at", "completion", "answers", "questions", "golds",
    }  # fmt: skip


def test_a_dumped_study_loads_as_itself(study, file):
    load(file(WHOLE))
    text = dump("panel")
    out, warnings = load(file(text))
    assert out == "panel: unchanged\n"
    assert "Sea shanty" in warnings  # that it has no clip, and nothing else
    assert len(warnings.splitlines()) == 1
    assert dump("panel") == text


def test_a_dumped_study_is_the_same_in_another_arena(study, file):
    load(file(WHOLE))
    text = dump("panel")
    Study.objects.filter(slug="panel").delete()
    Prompt.objects.filter(text="Sea shanty").delete()
    load(file(text))
    assert dump("panel") == text


def test_no_text_gets_lost_on_the_way_through_a_file(study, file):
    rng = Random(3)
    alphabet = "ab \n\n\t:#'\"-|>{}[],&*!%@`\\é漢🎵\x85\u2028\u2029\ufeff\x07\r~0\xa0"
    texts = {"x" + "".join(rng.choices(alphabet, k=rng.randrange(1, 40))) for _ in range(150)}
    study.prompts.set([Prompt.objects.create(text=text, lyrics=text) for text in texts])
    study.description = study.consent_text = max(texts, key=len).strip()
    study.completion = {"message": study.description, "codes": {"completed": study.description}}
    study.save()
    text = dump("open")
    out, _ = load(file(text))
    assert out == "open: unchanged\n"
    assert dump("open") == text


def test_a_dump_names_every_setting_under_a_line_that_says_what_it_is_for(study):
    text = dump("open")
    assert "# Each battle. answers: A, B," in text
    assert "min_listen_ms: 4000" in text
    assert "questions:\n  degree: false\n  axes: []\n  tags: []\n  comment: true\n" in text
    assert "# prompts: all of them" in text
    assert "headphones: 'off'" in text
    assert all(len(line) <= 100 for line in text.splitlines() if line.startswith("#"))


def test_a_dump_can_go_to_a_file(study, tmp_path):
    call_command("study", "dump", "open", "--output", str(tmp_path / "open.yaml"), stdout=io.StringIO())
    assert (tmp_path / "open.yaml").read_text() == dump("open")


def test_one_file_may_hold_several_studies(study, file):
    out, _ = load(file("---\nslug: one\nname: One\n---\nslug: two\nname: Two\n---\n"))
    assert out == "one: created\ntwo: created\n"


# ---- what is wrong --------------------------------------------------------------------------------------


def test_everything_wrong_is_said_at_once_with_its_line_and_nothing_is_written(study, file):
    wrong = file(
        """\
        slug: panel
        golds: -1
        gold: 2
        questions:
          degree: perhaps
          axes: [Beat]
          axis: []
        epsilon: 0.01
        min_listen_ms: "400"
        excerpt_s: 12.5
        reveal: 1
        codec: ogg
        traps: true
        systems: [alder, elm, alder]
        prompts:
          - {words: x}
          - ""
        ends_at: 2027-01-31
        completion:
          codes:
            completed: 0123
            complete: X
        slug: again
        """
    )
    told = problems(wrong)
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in told] == [
        "panel.yaml:1 name",
        "panel.yaml:2 golds",
        "panel.yaml:3 gold",
        "panel.yaml:5 questions.degree",
        "panel.yaml:6 questions.axes",
        "panel.yaml:7 questions.axis",
        "panel.yaml:8 epsilon",
        "panel.yaml:9 min_listen_ms",
        "panel.yaml:10 excerpt_s",
        "panel.yaml:11 reveal",
        "panel.yaml:12 codec",
        "panel.yaml:13 traps",
        "panel.yaml:14 systems.2",
        "panel.yaml:14 systems.3",
        "panel.yaml:16 prompts.1",
        "panel.yaml:16 prompts.1.words",
        "panel.yaml:17 prompts.2",
        "panel.yaml:18 ends_at",
        "panel.yaml:21 completion.codes.completed",
        "panel.yaml:22 completion.codes.complete",
        "panel.yaml:23 slug",
    ]
    assert "panel.yaml:2: golds: -1 is not between 0 and 10." in told
    assert "panel.yaml:3: gold: There is no such name; did you mean golds?" in told
    assert not Study.objects.filter(slug="panel").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("name: 0123", "name: 0123 is interpreted as a number; put it in quotation marks."),
        ("name: yes", "name: yes is interpreted as true or false; put it in quotation marks."),
        ("name: 2027-01-31", "name: 2027-01-31 is interpreted as a date"),
        ("name:", "name: It is empty"),
        ("name: [x]", "name: It must be a text."),
        ('name: "\\0"', "name: It contains a NUL"),
        ("description: x\nname: '" + "x" * 101 + "'", "name: Ensure this value has at most 100 characters"),
        ("completion: {codes: {completed: 0123}}", "completion.codes.completed: 0123 is interpreted as a number"),
        ("questions: {tags: [no]}", "questions.tags.1: no is interpreted as true or false; put it in quotation marks."),
        ("platform: {participant: 7}", "platform.participant: 7 is interpreted as a number"),
        ("golds: true", "golds: true is not a whole number."),
        ('golds: "3"', "golds: 3 is not a whole number; write it without quotation marks."),
        ("golds:", "golds: It is not a whole number."),
        ("golds: " + "9" * 5000, "golds: 9999"),
        ("min_listen_ms: 99999999999", "min_listen_ms: 99999999999 is not between 1 and 2147483647."),
        ("epsilon: .nan", "epsilon: nan is not between 0.1 and 1."),
        ("epsilon: true", "epsilon: true is not a number."),
        ("is_open: 1", "is_open: 1 is neither true nor false."),
        ("access: closed", "access: closed is not one of open, invited."),
        ("ends_at: 2027-01-31 18:00:00", "ends_at: 2027-01-31 18:00:00 is not a time with its zone"),
        ("ends_at: 2027-13-31", "ends_at: 2027-13-31 is not a time"),
        ("systems: alder", "systems: It must be a list"),
        ("systems: [elm]", "systems.1: There is no system 'elm'; there are alder, birch, cedar. `manage.py import_"),
        ("prompts: [7]", "prompts.1: 7 is interpreted as a number"),
        ("prompts: [x, x]", "prompts.2: It is in the list already."),
        ("repeats: 7", "repeats: At most 5 in blocks of 10"),
        ("questions: &q {tags: []}\nplatform: *q", "references"),
        ("name: !!python/object:os.system x", "is not supported"),
        ("? [a]\n: b", "A name must be a text."),
        ("1: b", "A name must be a text."),
        ("\tname: x", "indent with spaces, not tabs"),
        ("name: 'x", "This cannot be read as YAML"),
        ("name: \x07", "The character"),
        ("questions: " + "[" * 600, "nested too deeply"),
        ("questions: {degree: true, degree: false}", "degree: It is set on line 2 already."),
    ],
)
def test_a_line_that_cannot_be_is_told_so(study, file, line, says):
    name = "" if "name:" in line else "name: Panel\n"
    (told,) = problems(file(f"slug: panel\n{line}\n{name}"))
    assert says in told
    assert told.startswith("panel.yaml:") and int(told.split(":")[1]) <= 4


def test_what_depends_on_a_setting_that_cannot_be_read_is_not_judged(db, file):
    told = problems(file('slug: panel\nname: x\nblock_length: "20"\nrepeats: 7\nconsent_version: one\n'))
    assert [line.split(": ")[1] for line in told] == ["block_length", "consent_version"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "panel.yaml:1: The file is empty."),
        (b"# nothing\n---\n", "panel.yaml:1: The file is empty."),
        (b"slug: panel\nname: caf\xe9\n", "panel.yaml:2: This is not UTF-8"),
        (b"- slug: panel\n", "panel.yaml:1: A study is written as `setting: value`"),
        (b"panel", "panel.yaml:1: A study is written as"),
    ],
)
def test_what_is_no_study_at_all_is_told_so(db, file, content, says):
    (told,) = problems(file(content))
    assert told.startswith(says)


def test_a_file_that_is_not_there_is_named(db):
    with pytest.raises(CommandError, match=r"nowhere\.yaml: No such file"):
        load("nowhere.yaml")


def test_one_wrong_file_holds_back_all_of_them(study, file):
    good, bad = file("slug: good\nname: Good\n", "good.yaml"), file("slug: bad\n", "bad.yaml")
    assert len(problems(bad, good)) == 1
    assert not Study.objects.filter(slug__in=["good", "bad"]).exists()


def test_two_descriptions_of_one_study_and_two_defaults_contradict_each_other(study, file):
    twice = "slug: panel\nname: x\nis_default: true\n"
    told = problems(file(f"{twice}---\n{twice}"))
    assert told == [
        "panel.yaml:5: slug: panel.yaml:1 describes this study already.",
        "panel.yaml:7: is_default: Only one can be the default: panel.yaml:3 is.",
    ]


# ---- what may change ------------------------------------------------------------------------------------


def test_the_default_moves_and_says_so(study, file):
    _, warnings = load(file("slug: panel\nname: x\nis_default: true\nsystems: [alder, birch]\n"))
    assert warnings.endswith("panel.yaml:3: is_default: The default was open; it is panel now. (warning)\n")
    assert [study.slug for study in Study.objects.filter(is_default=True)] == ["panel"]


def test_a_default_that_is_given_up_is_noticed(study, file):
    _, warnings = load(file("slug: open\nname: x\nsystems: [alder, birch]\n"))
    assert "there is now no study for people without a link" in warnings


def test_whether_votes_are_simulated_never_changes_and_need_not_be_repeated(study, file):
    Study.objects.create(slug="made-up", name="x", is_simulated=True)
    load(file("slug: made-up\nname: y\n"))
    assert Study.objects.get(slug="made-up").is_simulated
    (told,) = problems(file("slug: made-up\nname: y\nis_simulated: false\n"))
    assert told.startswith("panel.yaml:3: is_simulated: It is true and cannot change")


def test_a_text_that_people_agreed_to_changes_only_with_its_version(study, file):
    text = "slug: open\nname: x\nis_default: true\nsystems: [alder, birch]\nconsent_text: Something else\n"
    load(file(text))  # nobody has agreed yet
    give_consent(None, Study.objects.get(slug="open"), 1)
    load(file(text))
    changed = text.replace("else", "new")
    (told,) = problems(file(changed))
    assert told == (
        "panel.yaml:5: consent_text: One person has agreed to version 1, which had a different text: raise "
        "consent_version to 2."
    )
    load(file(f"{changed}consent_version: 2\n"))
    (told,) = problems(file(text))
    assert told == "panel.yaml:1: consent_version: It is 2 already, and only goes up."


def test_a_change_that_mixes_votes_is_made_and_named(study, file):
    text = "slug: open\nname: x\nis_default: true\nsystems: [alder, birch]\nexcerpt_s: 10\nmin_listen_ms: "
    load(file(f"{text}4000\n"))
    assert "min_listen_ms" not in load(file(f"{text}5000\n"))[1]
    vote_in(study)
    _, warnings = load(file(f"{text}6000\n"))
    assert warnings.count("\n") == 1
    assert "panel.yaml:6: min_listen_ms: 1 vote was given with 5000; those to come have 6000" in warnings
    study.refresh_from_db()
    assert study.min_listen_ms == 6000


def test_what_nothing_can_be_heard_of_is_noticed(study, file):
    _, warnings = load(file("slug: panel\nname: x\nsystems: [alder]\nprompts:\n  - Driving rock\n  - Silence\n"))
    assert warnings.splitlines()[0].endswith("panel.yaml:3: systems: With fewer than two systems there is nothing to compare. (warning)")  # fmt: skip # noqa: E501
    assert "panel.yaml:6: prompts.2: No system of this study has a clip for 'Silence' yet." in warnings
    assert "Driving rock" not in warnings
