"""A model of sentencepiece from pieces and scores, as its own protocol buffer has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined, unused-ignore]

Ids = NDArray[np.int64]


def processor(pieces: Iterable[str], scores: Iterable[float], kind: str) -> SentencePieceProcessor:
    """Pieces keep their order, from 1 on; 0 is the unknown piece, which a model must have. kind: "bpe" or "unigram"."""
    model = ModelProto()
    model.trainer_spec.model_type = {"unigram": 1, "bpe": 2}[kind]
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = False
    model.pieces.add(piece="<unk>", score=0.0, type=2)
    for piece, score in zip(pieces, scores, strict=True):
        model.pieces.add(piece=piece, score=score)
    return SentencePieceProcessor(model_proto=model.SerializeToString())


def split(model: Any, words: list[str], name: str) -> tuple[Ids, Ids]:
    """SentencePieceProcessor.encode on all words. -> ids (N',), offsets (W + 1,). Refuses the unknown piece."""
    codes = model.encode(words, out_type=int)
    ids = np.array([id for code in codes for id in code], np.int64) - 1
    if (ids < 0).any():
        raise ValueError(f"{name} hold what no pieces spell")
    return ids, np.cumsum([0, *map(len, codes)])
