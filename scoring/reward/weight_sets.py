"""Which sets of weights there are, and where each file of them is published. A table: nothing here reads a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file of a set, under the first of `names` that there is, in `folder` of the set."""

    repository: str
    names: tuple[str, ...]
    folder: str = ""
    needed: bool = True
    licence: str = ""  # where it is not that of the set

    @property
    def places(self) -> list[str]:
        return [f"{self.folder}/{name}" if self.folder else name for name in self.names]


@dataclass(frozen=True)
class WeightSet:
    name: str
    about: str
    licence: str
    size: str  # of what is downloaded, in words
    files: tuple[File, ...]
    gated: bool = False


MUQ, MUQ_MULAN = "OpenMuQ/MuQ-large-msd-iter", "OpenMuQ/MuQ-MuLan-large"
ROBERTA, XLM_ROBERTA = "FacebookAI/roberta-base", "FacebookAI/xlm-roberta-base"
TUNEJURY = "TuneJury/tunejury"
TENSORS = ("model.safetensors", "pytorch_model.bin")

SETS = {
    each.name: each
    for each in (
        WeightSet(
            "clap-music",
            "LAION-CLAP for music, HTSAT-base without fusion: the encoders clap-music and clap-music-text",
            licence="CC0-1.0",
            size="2.4 GB",
            files=(
                File("lukewys/laion_clap", ("music_audioset_epoch_15_esc_90.14.pt",)),
                File(ROBERTA, ("vocab.json",)),
                File(ROBERTA, ("merges.txt",)),
                # Where there is one it says what network this is; the published file is HTSAT-base and roberta-base.
                File("", ("config.json",), needed=False),
            ),
        ),
        WeightSet(
            "mert-330m",
            "MERT-v1-330M: the encoder mert-330m",
            licence="CC-BY-NC-4.0",
            size="1.3 GB",
            gated=True,
            files=(
                File("m-a-p/MERT-v1-330M", ("config.json",)),
                File("m-a-p/MERT-v1-330M", ("preprocessor_config.json",)),
                File("m-a-p/MERT-v1-330M", TENSORS),
            ),
        ),
        WeightSet(
            "muq-mulan",
            "MuQ-MuLan-large: the encoders muq-mulan and muq-mulan-text",
            licence="CC-BY-NC-4.0",
            size="2.6 GB",
            # Its own file holds the tensors of the two networks inside, so of these only the shapes are needed.
            files=(
                File(MUQ_MULAN, ("config.json",)),
                File(MUQ_MULAN, TENSORS),
                File(MUQ, ("config.json",), folder="muq"),
                File(XLM_ROBERTA, ("config.json",), folder="xlm-roberta", licence="MIT"),
                File(XLM_ROBERTA, ("tokenizer.json",), folder="xlm-roberta", licence="MIT"),
                File(XLM_ROBERTA, ("tokenizer_config.json",), folder="xlm-roberta", licence="MIT"),
            ),
        ),
        WeightSet(
            "tunejury",
            "TuneJury's heads over clap-music and mert-330m, for import_model",
            licence="CC-BY-NC-4.0",
            size="90 MB",
            files=(
                File(TUNEJURY, ("tunejury.pt",)),
                *(
                    File(TUNEJURY, (f"tunejury_{variant}.pt",), needed=False)
                    for variant in (
                        "leave_MA",
                        "leave_MP",
                        "leave_AIME",
                        "leave_SE",
                        "leave_SE_MA",
                        "leave_MP_MA",
                        "muq_leave_MA",
                        "mp_zero",
                    )
                ),
                File(TUNEJURY, ("A1_clap_audio_only.pt",), needed=False, licence="Apache-2.0"),
                File(TUNEJURY, ("A1_clap_audio_only.json",), needed=False, licence="Apache-2.0"),
            ),
        ),
    )
}
