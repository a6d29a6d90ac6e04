"""What others have published on CMI-RewardBench, as read in the sources named; nothing is computed from them.

Not found in any text we could read, so left out: any model's LCC and K-Tau, the paper's full tables (arXiv
2603.00610), the rows of PAM score and Audiobox-Aesthetics, and anything by month or confidence.
"""

from dataclasses import dataclass

from .rows import CMI_PREF, MUSIC_ARENA, MUSIC_EVAL, PAM
from .tables import ACC, ALL

# (dataset, task, metric, group, value), as of a Figure.
Column = tuple[str, str, str, str, str]
PAM_MUSICALITY: Column = (PAM, "musicality", "SRCC", ALL, "")
PAM_ALIGNMENT: Column = (PAM, "alignment", "SRCC", ALL, "")
MUSIC_EVAL_MUSICALITY: Column = (MUSIC_EVAL, "musicality", "SRCC", ALL, "")
MUSIC_ARENA_PREFERENCE: Column = (MUSIC_ARENA, "preference", ACC, ALL, "")
CMI_MUSICALITY: Column = (CMI_PREF, "musicality", ACC, ALL, "")


@dataclass(frozen=True)
class Source:
    label: str
    name: str


README = Source("benchmark's README", "README.md of github.com/Haiwen-Xia/CMI-RewardBench, commit 8a4c729")
REPRODUCING = Source(
    "TuneJury's docs", "docs/reproducing.md, section 5.1, of github.com/yonghyunk1m/TuneJury, commit d98d412"
)
BASELINES = Source(
    "TuneJury's baselines", "applications/baselines/README.md of github.com/yonghyunk1m/TuneJury, commit 03cf84f"
)


@dataclass(frozen=True)
class Published:
    """A row of somebody's table: figures by column, correlations and accuracies as fractions of 1."""

    name: str
    source: Source
    figures: dict[Column, float]
    note: str = ""


def _musicality(pam: float, music_eval: float, music_arena: float, cmi_pref: float) -> dict[Column, float]:
    return {
        PAM_MUSICALITY: pam,
        MUSIC_EVAL_MUSICALITY: music_eval,
        MUSIC_ARENA_PREFERENCE: music_arena,
        CMI_MUSICALITY: cmi_pref,
    }


def _alignment(pam: float, **by_modality: float) -> dict[Column, float]:
    names = {"t": "text", "l": "text+lyrics", "a": "text+ref", "c": "text+lyrics+ref"}
    columns = {(CMI_PREF, "alignment", ACC, "modality", names[key]): value for key, value in by_modality.items()}
    return {PAM_ALIGNMENT: pam, **columns}


OWN_SPEARMAN = (
    "its script ranks ties by their order, so its SRCC is not tie-aware; it does not name the axis of CMI-Pref, "
    "MuQ-Eval-A1 which it is compared with is on musicality"
)
PUBLISHED = (
    Published(
        "Gemini3-pro",
        README,
        _musicality(0.5967, 0.6018, 0.6885, 0.6580) | _alignment(0.5373, t=0.6720, l=0.6080, a=0.6880, c=0.6480),
        "marked with an asterisk that the README does not explain",
    ),
    Published("SongEval-RM", README, _musicality(0.6977, 0.6949, 0.7388, 0.7240)),
    Published(
        "CMI-RM",
        README,
        _musicality(0.6606, 0.8266, 0.7343, 0.7820) | _alignment(0.4321, t=0.6760, l=0.7280, a=0.7640, c=0.7920),
    ),
    Published("CLAP score (music)", README, _alignment(0.2881, t=0.6720, l=0.7360)),
    Published("TuneJury, with prompt", REPRODUCING, _musicality(0.6100, 0.6687, 0.7194, 0.7140), OWN_SPEARMAN),
    Published("TuneJury, empty prompt", REPRODUCING, _musicality(0.6731, 0.6618, 0.7007, 0.7240), OWN_SPEARMAN),
    Published(
        "MuQ-Eval-A1",
        BASELINES,
        _musicality(0.4995, 0.8089, 0.6761, 0.6600),
        "trained on MusicEval; measured by TuneJury's authors",
    ),
)
