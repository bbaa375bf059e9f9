"""What an evaluation tells programs and people, above all which figures to believe."""

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from matching import CardIndex, CardRecord, Case, Matcher
from matching.scorers.calibrated import SHIPPED
from services.diagnosis.evaluation import crossed
from services.diagnosis.evaluation.figures import Answer, figures
from services.diagnosis.evaluation.gold import Complaint, GoldSet
from services.diagnosis.evaluation.report import as_json, label, notes, svg
from services.diagnosis.evaluation.run import CROSS_VALIDATED, Evaluation, Kind, Method
from services.diagnosis.matches import DEFAULT_SCORER
from tests.services.diagnosis.evaluation.samples import answer, gold

PARTS = ("brake caliper", "seat belt", "rear lamp", "charging inlet", "inverter gate", "coolant pump", "door latch")


def evaluation(in_sample: bool | None) -> Evaluation:
    judged = gold({"p": "a", "q": "a"}, "n")
    flattering = dict.fromkeys("pqn", answer("a", 0.9, probability=0.9, abstained=False))
    honest = dict.fromkeys("pqn", answer("ba", 0.4, probability=0.4, abstained=True))
    given: list[tuple[str, Kind, Mapping[str, Answer]]] = [
        ("keyword", Kind.channel, dict.fromkeys("pqn", answer("a", 3.0))),
        (DEFAULT_SCORER, Kind.scorer, flattering),
        (CROSS_VALIDATED, Kind.cross_validated, honest),
    ]
    return Evaluation(
        gold=judged,
        methods={name: Method(name, kind, figures(judged, answers), answers) for name, kind, answers in given},
        in_sample=in_sample,
        distractors=0,
        embedder=None,
        versions={DEFAULT_SCORER: "prior-1"},
        channels_off={"semantic": "no model"},
    )


@pytest.mark.parametrize(
    ("in_sample", "believed"), [(True, CROSS_VALIDATED), (None, CROSS_VALIDATED), (False, DEFAULT_SCORER)]
)
def test_weights_are_not_believed_on_what_they_were_fitted_on(in_sample: bool | None, believed: str):
    told = as_json(evaluation(in_sample))
    assert told["believe"] == believed
    assert told["in_sample"] is in_sample
    assert any("cross-validated" in note for note in told["notes"]) == (in_sample is not False)


def test_a_row_that_flatters_says_so():
    judged = evaluation(True)
    assert label(judged, judged.methods[DEFAULT_SCORER]) == f"{DEFAULT_SCORER}, in sample"
    assert any("flatters" in note for note in notes(judged))
    assert any("semantic channel was off: no model" in note for note in notes(judged))


def test_json_has_scorers_at_the_top_and_everything_is_json():
    told = json.loads(json.dumps(as_json(evaluation(False))))
    assert told[DEFAULT_SCORER]["hit@1"] == 1
    assert told["default"] == DEFAULT_SCORER
    assert list(told["methods"]) == ["keyword", DEFAULT_SCORER, CROSS_VALIDATED]
    (best,) = told["reliability"][DEFAULT_SCORER]["best"]
    assert (best["count"], best["share"]) == (3, pytest.approx(2 / 3))
    assert told["groups"][DEFAULT_SCORER]["make"][0]["small"] is True
    assert told["gold"]["fingerprint"] == gold({"p": "a", "q": "a"}, "n").fingerprint


def test_the_picture_shows_every_method_and_says_whose_probabilities_it_shows():
    root = ElementTree.fromstring(svg(evaluation(True)))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"keyword alone", f"{DEFAULT_SCORER}, in sample", f"{DEFAULT_SCORER}, cross-validated"} <= set(texts)
    description = root.findtext("{http://www.w3.org/2000/svg}desc") or ""
    assert f"Probabilities are of: {DEFAULT_SCORER}, cross-validated" in description


def test_a_set_without_answerable_complaints_is_a_picture_too():
    judged = gold({}, "n")
    answers = {"n": answer("a", 0.9, probability=0.9, abstained=False)}
    method = Method(DEFAULT_SCORER, Kind.scorer, figures(judged, answers), answers)
    told = Evaluation(judged, {DEFAULT_SCORER: method}, None, 0, None, {}, {})
    assert told.believable is method
    assert ElementTree.fromstring(svg(told)) is not None


def judged_parts() -> tuple[GoldSet, Matcher]:
    """A failure and two complaints for each part, and complaints about nothing."""
    index = CardIndex()
    for part in PARTS:
        index.upsert(CardRecord(f"card of {part}", title=f"{part} fails"))
    answerable = {f"{part} {n}": Complaint(Case(f"the {part} is broken {n}")) for part in PARTS for n in "12"}
    others = {f"nothing {n}": Complaint(Case(f"paint peels {n}")) for n in range(14)}
    relevant = {id_: frozenset({id_[:-2]}) for id_ in answerable}
    return GoldSet(answerable, others, relevant, {}, {part: {"_id": part} for part in PARTS}, {}), Matcher(index)


def test_cross_validation_answers_every_complaint_in_ids_of_the_corpus():
    judged, matcher = judged_parts()
    steps: list[int] = []
    found = crossed.cross_validated(judged, matcher, {f"card of {part}": part for part in PARTS}, steps.append)
    assert list(found) == list(judged.complaints)
    assert steps == list(range(1, len(judged.complaints) + 1))
    measured = figures(judged, found)
    assert measured.ranks.hit_1 == 1
    assert measured.auroc_nomatch == 1
    assert all(0 <= (one.probability or 0) <= 1 for one in found.values())


def test_too_few_failures_are_not_cross_validated():
    judged, matcher = judged_parts()
    few = GoldSet(
        dict(list(judged.answerable.items())[:4]), judged.unanswerable, judged.relevant, {}, judged.corpus, {}
    )
    assert crossed.cross_validated(few, matcher, {}, lambda _: None) == {}


@pytest.mark.parametrize(
    ("record", "expected"), [({}, None), ({"trained_on": []}, False), ({"trained_on": ["own"]}, True)]
)
def test_the_models_record_tells_whether_it_has_seen_the_complaints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, list[str]], expected: bool | None
):
    judged = gold({"p": "a"})
    written = {key: [judged.fingerprint if one == "own" else one for one in value] for key, value in record.items()}
    (tmp_path / SHIPPED).write_text(json.dumps(written))
    monkeypatch.setattr(crossed, "files", lambda _: tmp_path)
    assert crossed.in_sample(judged) is expected
