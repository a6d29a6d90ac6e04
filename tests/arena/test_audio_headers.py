"""Whatever a header says of its samples, the samples that come out are those that went in, or the file is refused."""

import struct

import numpy as np
import pytest

from arena import audio
from tests.casts.audio_files import inspect_here, materials, music, played, reason, write, write_plain_wav

RATE = 16_000
MUSIC = music(2, RATE)
PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


def integers(bits, size, order="<", unsigned=False):
    """The music in `bits` bits at the top of containers of `size` bytes."""
    values = np.rint(MUSIC.astype(np.float64) * (2 ** (bits - 1) - 1)).astype(np.int64) << (8 * size - bits)
    values = values + (1 << (8 * size - 1)) if unsigned else values
    digits = values.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 8 - size :]
    return (digits if order == ">" else digits[:, ::-1]).tobytes()


def floats(size, order="<"):
    return MUSIC.astype(f"{order}f{size}").tobytes()


def fmt(bits, size, *, tag=1, valid=None, order="<", block=None, bytes_a_second=None, guid=PCM_GUID, channels=2):
    """The body of a fmt chunk; with `valid` of WAVE_FORMAT_EXTENSIBLE."""
    block = 2 * size if block is None else block
    bytes_a_second = 2 * size * RATE if bytes_a_second is None else bytes_a_second
    head = struct.pack(order + "HHIIHH", tag if valid is None else 0xFFFE, channels, RATE, bytes_a_second, block, bits)
    return head if valid is None else head + struct.pack(order + "HHI", 22, valid, 3) + guid


def chunk(name, body, order="<", size=None):
    return name + struct.pack(order + "I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def wav(path, header, data, *, order="<", data_size=None, before=b"", after=b""):
    body = chunk(b"fmt ", header, order) + before + chunk(b"data", data, order, data_size) + after
    path.write_bytes((b"RIFX" if order == ">" else b"RIFF") + struct.pack(order + "I", 4 + len(body)) + b"WAVE" + body)
    return path


def rf64(path, header, data):
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(data), 0, 0))
    body = sizes + chunk(b"fmt ", header) + chunk(b"data", data, size=0xFFFFFFFF)
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + body)
    return path


def w64(path, header, data):
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")

    def part(name, body):
        return name + tail + struct.pack("<Q", 24 + len(body)) + body + bytes(-len(body) % 8)

    body = part(b"fmt ", header) + part(b"data", data)
    riff = bytes.fromhex("726966662e91cf11a5d628db04c10000")
    path.write_bytes(riff + struct.pack("<Q", 40 + len(body)) + b"wave" + tail + body)
    return path


def aiff(path, bits, data, kind=None, frames=2 * RATE):
    rate = struct.pack(">HQ", 16383 + 13, RATE << 50)
    common = struct.pack(">hIh", 2, frames, bits) + rate + (kind + b"\0\0" if kind else b"")
    body = chunk(b"COMM", common, ">") + chunk(b"SSND", bytes(8) + data, ">")
    path.write_bytes(b"FORM" + struct.pack(">I", 4 + len(body)) + (b"AIFC" if kind else b"AIFF") + body)
    return path


def assert_is_the_music(path, correlation=0.999):
    samples = played(path)
    facts = inspect_here(path)
    assert (facts.duration_ms, facts.sample_rate, facts.channels) == (2000, RATE, 2)
    assert np.corrcoef(samples.ravel(), MUSIC.ravel())[0, 1] > correlation
    assert np.std(samples) == pytest.approx(np.std(MUSIC), rel=0.02)
    heard, rate = audio.decode_once(path)
    assert (len(heard), rate) == (2 * RATE, RATE)


# ---- how samples are written ----


@pytest.mark.parametrize(
    ("bits", "valid", "size"),
    [(16, 12, 2), (24, 20, 3), (32, 20, 4), (32, 24, 4), (32, 32, 4), (16, 16, 2), (16, 0, 2)],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_fewer_valid_bits_than_the_container_has_are_read_from_its_top(tmp_path, bits, valid, size, order):
    guid = PCM_GUID if order == "<" else bytes.fromhex("0000000100000010800000aa00389b71")
    header = fmt(bits, size, valid=valid, order=order, guid=guid)
    assert_is_the_music(wav(tmp_path / "a.wav", header, integers(valid or bits, size, order), order=order))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_big_endian_wav_is_read_as_such(tmp_path, size):
    assert_is_the_music(
        wav(tmp_path / "a.wav", fmt(8 * size, size, order=">"), integers(8 * size, size, ">"), order=">")
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("size", [4, 8])
def test_floats_of_either_order_are_read(tmp_path, order, size):
    assert_is_the_music(
        wav(tmp_path / "a.wav", fmt(8 * size, size, tag=3, order=order), floats(size, order), order=order)
    )


@pytest.mark.parametrize(("bits", "size"), [(12, 2), (20, 3), (20, 4), (24, 4)])
def test_odd_bits_of_a_plain_wav_stand_in_the_container_that_its_blocks_say(tmp_path, bits, size):
    assert_is_the_music(wav(tmp_path / "a.wav", fmt(bits, size), integers(bits, size)))


def test_eight_bits_of_a_wav_are_unsigned(tmp_path):
    assert_is_the_music(wav(tmp_path / "a.wav", fmt(8, 1), integers(8, 1, unsigned=True)), 0.99)


@pytest.mark.parametrize("codec", ["pcm_alaw", "pcm_mulaw"])
@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_a_law_and_mu_law_are_read(tmp_path, codec, suffix):
    assert_is_the_music(write(tmp_path / f"a.{suffix}", MUSIC, RATE, codec), 0.99)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_wav_with_64_bit_sizes_is_read(tmp_path, size):
    header, data = fmt(8 * size, size), integers(8 * size, size)
    assert_is_the_music(rf64(tmp_path / "a.wav", header, data))
    assert_is_the_music(w64(tmp_path / "a.w64", header, data))
    assert_is_the_music(w64(tmp_path / "b.w64", fmt(32, 4, valid=20), integers(20, 4)))


@pytest.mark.parametrize(
    ("bits", "data", "kind"),
    [
        (16, integers(16, 2, ">"), None), (24, integers(24, 3, ">"), None), (20, integers(20, 3, ">"), None),
        (32, integers(32, 4, ">"), b"NONE"), (16, integers(16, 2, ">"), b"twos"), (16, integers(16, 2), b"sowt"),
        (24, integers(24, 3), b"sowt"), (24, integers(24, 3, ">"), b"in24"), (32, integers(32, 4), b"23ni"),
        (32, floats(4, ">"), b"fl32"), (64, floats(8, ">"), b"FL64"), (8, integers(8, 1, unsigned=True), b"raw "),
        (8, integers(8, 1), None),
    ],
)  # fmt: skip
def test_aiff_is_read_in_every_order_and_width(tmp_path, bits, data, kind):
    assert_is_the_music(aiff(tmp_path / "a.aiff", bits, data, kind), 0.99)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "alac"), ("a.mov", "pcm_s16le"), ("a.mov", "pcm_s24le"), ("a.mov", "pcm_s24be"), ("a.mov", "pcm_f32le")],
)
def test_lossless_samples_in_a_film_container_are_read(tmp_path, name, codec):
    assert_is_the_music(write(tmp_path / name, MUSIC, RATE, codec))


# ---- sizes that are wrong ----


@pytest.mark.parametrize("stated", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_that_the_writer_did_not_know_is_that_of_the_file(tmp_path, stated):
    assert_is_the_music(wav(tmp_path / "a.wav", fmt(16, 2), integers(16, 2), data_size=stated))


@pytest.mark.parametrize("block", [0, 2, 3])
def test_a_wrong_block_size_is_outvoted_by_the_rest_of_the_header(tmp_path, block):
    assert_is_the_music(wav(tmp_path / "a.wav", fmt(16, 2, block=block), integers(16, 2)))


def test_a_size_that_counts_the_header_too_and_chunks_around_the_audio_do_no_harm(tmp_path):
    data, odd = integers(16, 2), chunk(b"LIST", b"INFO" + b"\0" * 7)
    assert_is_the_music(wav(tmp_path / "a.wav", fmt(16, 2), data, data_size=len(data) + 44))
    assert_is_the_music(wav(tmp_path / "b.wav", fmt(16, 2), data, before=odd, after=odd + bytes(5)))
    assert_is_the_music(wav(tmp_path / "c.wav", fmt(16, 2), data, after=b"TAG" + bytes(125)))
    assert_is_the_music(wav(tmp_path / "d.wav", fmt(16, 2), data, after=bytes(100_000)))


def test_a_size_that_is_too_small_is_refused_with_what_is_left(tmp_path):
    path = wav(tmp_path / "a.wav", fmt(16, 2), integers(16, 2), data_size=64_000)
    assert "ends after 64,000 bytes, but 64,000 more bytes follow" in reason(inspect_here, path)


@pytest.mark.parametrize("make", [rf64, w64])
def test_a_truncated_file_of_64_bit_sizes_is_refused(tmp_path, make):
    path = make(tmp_path / "a.wav", fmt(24, 3), integers(24, 3))
    path.write_bytes(path.read_bytes()[:100_000])
    assert reason(inspect_here, path).startswith("The file is cut off")


def test_a_truncated_aiff_or_one_whose_lengths_disagree_is_refused(tmp_path):
    path = aiff(tmp_path / "a.aiff", 16, integers(16, 2, ">"))
    path.write_bytes(path.read_bytes()[:100_000])
    assert reason(inspect_here, path).startswith("The file is cut off")
    short = aiff(tmp_path / "b.aiff", 16, integers(16, 2, ">"), frames=RATE)
    assert "says 16,000 samples in one place and 32,000 in another" in reason(inspect_here, short)


# ---- what is refused, by name ----


def test_samples_at_the_wrong_end_of_their_container_are_refused(tmp_path):
    low = (np.rint(MUSIC * 2**23).astype("<i4")).tobytes()
    path = wav(tmp_path / "a.wav", fmt(32, 4, valid=24), low)
    assert "24-bit samples at the lower end of 32 bits" in reason(inspect_here, path)


def test_more_bits_than_are_said_to_be_valid_are_still_music(tmp_path):
    assert_is_the_music(wav(tmp_path / "a.wav", fmt(32, 4, valid=20), integers(32, 4)))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (fmt(16, 2, tag=0x1234), "0x1234"),
        (fmt(16, 2, valid=16, guid=bytes.fromhex("34120000000010008000" + "00aa00389b71")), "0x1234"),
        (fmt(16, 2, valid=16, guid=bytes(range(16))), "03020100-0504-0706-0809-0a0b0c0d0e0f"),
        (fmt(16, 2, tag=3), "float samples of 16 bits"),
        (fmt(40, 5), "integer samples of 40 bits"),
        (fmt(16, 2, tag=1, channels=0), "0 channels"),
    ],
)
def test_a_format_that_is_not_read_is_named(tmp_path, header, name):
    assert name in reason(audio.inspect, wav(tmp_path / "a.wav", header, integers(16, 2)))


def test_compressed_aiff_and_big_endian_adpcm_are_named(tmp_path):
    assert "'ima4'" in reason(inspect_here, aiff(tmp_path / "a.aiff", 16, integers(16, 2), b"ima4"))
    path = wav(tmp_path / "a.wav", fmt(4, 1, tag=2, order=">"), integers(8, 1), order=">")
    assert "RIFX) in format 0x0002" in reason(inspect_here, path)


@pytest.mark.parametrize(("name", "codec", "kind"), [("a.caf", "pcm_s16be", "CAF"), ("a.webm", "libopus", "WebM"),
    ("a.au", "pcm_s16be", "an AU file"), ("a.wv", "wavpack", "WavPack")])  # fmt: skip
def test_a_kind_of_file_that_is_not_read_is_named(tmp_path, name, codec, kind):
    path = write(tmp_path / name, music(2, 48_000), 48_000, codec)
    assert kind in reason(inspect_here, path)


# ---- headers that the samples contradict ----


@pytest.mark.parametrize(
    ("header", "data", "order", "what"),
    [
        (fmt(16, 2), integers(16, 2, ">"), "<", "16-bit big-endian"),
        (fmt(16, 2, order=">"), integers(16, 2, "<"), ">", "16-bit little-endian"),
        (fmt(24, 3), integers(24, 3, ">"), "<", "24-bit big-endian"),
        (fmt(24, 3), integers(16, 2), "<", "16-bit little-endian"),
        (fmt(32, 4), integers(24, 3), "<", "24-bit little-endian"),
        (fmt(8, 1), integers(16, 2), "<", "16-bit little-endian"),
        (fmt(8, 1), integers(8, 1), "<", "signed"),
        (fmt(16, 2), integers(16, 2, unsigned=True), "<", "unsigned"),
        (fmt(32, 4), floats(4), "<", "floating-point"),
    ],
)
def test_samples_of_another_kind_than_the_header_says_are_refused_with_what_they_look_like(
    tmp_path, header, data, order, what
):
    sentence = reason(inspect_here, wav(tmp_path / "a.wav", header, data, order=order))
    assert sentence == f"The samples look like {what} ones, and the file's header says otherwise: it is wrong."


def loud_square(rate):
    return np.sign(np.sin(2 * np.pi * 220 * np.arange(2 * rate) / rate + 0.1))[:, None].repeat(2, axis=1)


@pytest.mark.parametrize(("bits", "size"), [(8, 1), (16, 2), (24, 3), (24, 4), (32, 4)])
def test_noise_squares_and_bright_sounds_are_no_contradiction(tmp_path, bits, size, monkeypatch):
    rng = np.random.default_rng(7)
    sounds = {
        **materials(2, RATE), "noise": rng.uniform(-0.5, 0.5, MUSIC.shape), "soft": rng.normal(0, 0.01, MUSIC.shape),
        "square": loud_square(RATE), "highest": MUSIC * np.tile([[1], [-1]], (RATE, 1)),
        "clipped": np.clip(40 * MUSIC, -1, 1), "one-sided": np.abs(MUSIC) + 0.3,
    }  # fmt: skip
    for sound in sounds.values():
        monkeypatch.setitem(globals(), "MUSIC", sound)
        unsigned = size == 1
        assert inspect_here(wav(tmp_path / "a.wav", fmt(bits, size), integers(bits, size, unsigned=unsigned)))


def test_quiet_samples_at_the_wrong_end_are_refused_though_none_of_them_uses_the_lowest_bits(tmp_path):
    data = (np.rint(MUSIC * 32767).astype("<i4") * 256).tobytes()
    assert "24-bit samples at the lower end of 32 bits" in reason(
        inspect_here, wav(tmp_path / "a.wav", fmt(32, 4, valid=24), data)
    )


def test_audio_in_several_chunks_is_refused_and_not_read_in_part(tmp_path):
    data = integers(16, 2)
    path = wav(tmp_path / "a.wav", fmt(16, 2), data[: len(data) // 2], after=chunk(b"data", data[len(data) // 2 :]))
    assert "several data chunks" in reason(inspect_here, path)


@pytest.mark.parametrize("cut_at", [13, 25, 37, 43])
def test_a_header_that_ends_early_is_refused(tmp_path, cut_at):
    path = write_plain_wav(tmp_path / "a.wav", MUSIC, RATE)
    path.write_bytes(path.read_bytes()[:cut_at])
    assert reason(audio.inspect, path)
    path = aiff(tmp_path / "a.aiff", 16, integers(16, 2, ">"))
    path.write_bytes(path.read_bytes()[:cut_at])
    assert reason(audio.inspect, path)
