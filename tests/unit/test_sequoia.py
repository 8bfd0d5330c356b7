# SPDX-License-Identifier: GPL-2.0-or-later
"""multisig/openpgp: Sequoia missing, broken or at a loss, gpgv in its place, and two engines that have to agree."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, List

import pytest

from multisig.errors import EngineError, UncheckedSignatureError
from multisig.openpgp.both import BothEngine
from multisig.openpgp.engines import CHOICES, open_engine
from multisig.openpgp.keys import parse_public_key
from multisig.openpgp.model import Checked, Engine, Outcome, PublicKey, Signature
from multisig.openpgp.packets import parse_signature
from multisig.openpgp.sequoia import SequoiaEngine
from tests.unit.openpgp_keys import DATA, PAST, People, hide_pysequoia

DAY = 86400
IN_TIME = "20240103T000000"
RENEWED = "20240110T000000"


class Oracle:
    """An engine that finds what it is told to, or raises it, and remembers that it was asked."""

    name = "oracle"

    def __init__(self, answer: "Checked | Exception") -> None:
        self.answer = answer
        self.asked: List[Signature] = []
        self.closed = False

    def verify(self, data: bytes, signature: Signature, key: PublicKey) -> Checked:
        self.asked.append(signature)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.closed = True


NEVER = Oracle(AssertionError("nothing to ask another engine for"))
GOOD = Checked(Outcome.GOOD, primary="A" * 40, issuer="B" * 40, created=7)


@pytest.fixture
def no_pysequoia(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_pysequoia(monkeypatch)


def stand_in(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """pysequoia with some of its names replaced."""
    import pysequoia

    module = ModuleType("pysequoia")
    module.__dict__.update(pysequoia.__dict__, **changes)
    monkeypatch.setitem(sys.modules, "pysequoia", module)


# The choice.


def test_what_is_chosen_is_what_is_used() -> None:
    for choice, name in (("gpgv", "gpgv"), ("sequoia", "sequoia"), ("both", "both"), ("auto", "sequoia")):
        with closing(open_engine(choice)) as engine:
            assert engine.name == name


@pytest.mark.parametrize("choice", ["", "gpg", "Sequoia", "none", "auto "])
def test_an_unknown_choice_is_an_error(choice: str) -> None:
    with pytest.raises(EngineError, match="auto, gpgv, sequoia, both"):
        open_engine(choice)


@pytest.mark.usefixtures("no_pysequoia")
def test_without_pysequoia_gpgv_does_and_whoever_asks_for_more_is_told_what_to_install() -> None:
    for choice in ("auto", "gpgv"):
        with closing(open_engine(choice)) as engine:
            assert engine.name == "gpgv"
    for choice in ("sequoia", "both"):
        with pytest.raises(EngineError, match="install python3-pysequoia .*or set openpgp = gpgv"):
            open_engine(choice)
    assert set(CHOICES) == {"auto", "gpgv", "sequoia", "both"}


def refuse_all(**_: object) -> Any:
    raise RuntimeError("no valid signatures found")


def accept_all(**_: object) -> Any:
    class Valid:
        certificate = signing_key = "c097eae5045142342c7fd53dee49b0fac346c939"

    class Result:
        valid_sigs = (Valid,)

    return Result


BROKEN = {
    "lacks a function": {"verify": None},
    "refuses good signatures": {"verify": refuse_all},
    "accepts bad signatures": {"verify": accept_all},
    "takes other arguments": {"verify": lambda store: accept_all()},
    "answers in another form": {"verify": lambda **_: object()},
    "cannot read keys": {"Cert": object},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN.keys())
def test_a_pysequoia_that_is_not_the_one_we_know_is_not_used(
    monkeypatch: pytest.MonkeyPatch, changes: "dict[str, Any]"
) -> None:
    stand_in(monkeypatch, **changes)
    with pytest.raises(EngineError, match="self-test"):
        open_engine("sequoia")
    with closing(open_engine("auto")) as engine:
        assert engine.name == "gpgv"


# What Sequoia cannot answer.


def renewed(people: People, name: str) -> "tuple[Signature, PublicKey, PublicKey]":
    """A signature, its key as it was then, and as gpg exports it after its expiry date was moved."""
    people.home.create(name, at=PAST)
    signature = parse_signature(people.home.sign(name, at=IN_TIME))
    before = people.home.key(name)
    people.home.gpg("--quick-set-expire", people.home.fingerprints[name], "20y", at=RENEWED)
    return signature, before, people.home.key(name)


def test_a_renewed_key_still_vouches_for_what_it_signed_before(people: People) -> None:
    """gpg replaces the self-signature, so to Sequoia the key did not exist when it signed."""
    signature, before, after = renewed(people, "renewed once")
    for choice in ("gpgv", "sequoia"):
        with closing(open_engine(choice)) as engine:
            assert engine.verify(DATA, signature, before).outcome is Outcome.GOOD
            assert engine.verify(DATA, signature, after).outcome is Outcome.GOOD
            assert engine.verify(DATA + b"x", signature, after).outcome is Outcome.BAD


def test_both_need_a_key_file_that_still_tells_of_the_time_before(people: People) -> None:
    signature, before, after = renewed(people, "renewed twice")
    united = parse_public_key(before.binary + after.binary.partition(after.user_ids[0].encode())[2])
    with closing(open_engine("both")) as engine:
        found = engine.verify(DATA, signature, after)
        assert found.outcome is Outcome.BAD
        assert "engines differ" in found.reason
        assert "gpgv: good; sequoia: the signature is older than the key's latest self-signature" in found.reason
        assert engine.verify(DATA, signature, united).outcome is Outcome.GOOD
        assert engine.verify(DATA + b"x", signature, united).outcome is Outcome.BAD


def test_only_what_sequoia_cannot_answer_goes_to_the_other_engine(people: People) -> None:
    signature, before, after = renewed(people, "renewed thrice")
    other = Oracle(GOOD)
    engine = SequoiaEngine(other)
    assert engine.verify(DATA, signature, before).outcome is Outcome.GOOD
    assert engine.verify(DATA + b"x", signature, before).outcome is Outcome.BAD
    assert other.asked == []
    assert engine.verify(DATA, signature, after) == GOOD
    assert other.asked == [signature]
    engine.close()
    assert other.closed


@pytest.mark.parametrize("curve", ["brainpoolP256r1", "secp256k1"])
def test_curves_that_sequoia_may_not_know_go_to_gpgv(people: People, curve: str) -> None:
    people.home.create(curve, algorithm=curve)
    signature, key = parse_signature(people.home.sign(curve)), people.home.key(curve)
    assert key.curve == curve
    with closing(open_engine("sequoia")) as engine:
        assert engine.verify(DATA, signature, key).outcome is Outcome.GOOD
        assert engine.verify(DATA + b"x", signature, key).outcome is Outcome.BAD


def test_an_old_date_is_no_way_to_stop_everything_where_there_is_no_gpgv(people: People) -> None:
    signature, _, after = renewed(people, "renewed without gpgv")
    for error in (EngineError("there is no gpgv here"), UncheckedSignatureError("gpgv took too long")):
        with pytest.raises(UncheckedSignatureError, match="gpgv"):
            SequoiaEngine(Oracle(error)).verify(DATA, signature, after)


# What Sequoia finds, and what is made of it.


def lying(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any], people: People) -> Checked:
    """What is found of a good signature where Sequoia's answer is changed after the self-test."""
    import pysequoia

    engine = SequoiaEngine(NEVER)

    def verify(**named: Any) -> Any:
        return change(pysequoia.verify(**named))

    monkeypatch.setattr(engine, "_sequoia", SimpleNamespace(Cert=pysequoia.Cert, Sig=pysequoia.Sig, verify=verify))
    return engine.verify(DATA, people.signature("joanna"), people.key("joanna"))


class Answer:
    """An answer of pysequoia's with these valid signatures."""

    def __init__(self, *pairs: "tuple[str, str]") -> None:
        self.valid_sigs = [Pair(*pair) for pair in pairs]


class Pair:
    def __init__(self, certificate: str, signing_key: str) -> None:
        self.certificate, self.signing_key = certificate, signing_key


def pairs(people: People) -> "tuple[str, str]":
    return people.key("joanna").fingerprint.lower(), people.subkeys["joanna"].lower()


def test_an_answer_is_taken_only_where_it_is_the_one_asked_for(monkeypatch: pytest.MonkeyPatch, people: People) -> None:
    people.key("joanna")
    primary, subkey = pairs(people)
    assert lying(monkeypatch, lambda _: Answer((primary, subkey)), people).outcome is Outcome.GOOD
    for answer in (
        Answer(),
        Answer((primary, subkey), (primary, subkey)),
        Answer((subkey, subkey)),
        Answer((primary, primary)),
        Answer((primary[-16:], subkey[-16:])),
    ):
        assert lying(monkeypatch, partial(same, answer), people).outcome is Outcome.BAD


def same(answer: Answer, _: object) -> Answer:
    return answer


class PanicException(BaseException):
    """As pyo3's, which cannot be imported."""


@pytest.mark.parametrize("error", [PanicException("index out of bounds"), MemoryError(), OSError("?"), TypeError("?")])
def test_a_sequoia_that_panics_on_a_signature_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, people: People, error: BaseException
) -> None:
    def fail(_: object) -> None:
        raise error

    with pytest.raises(UncheckedSignatureError, match=type(error).__name__):
        lying(monkeypatch, fail, people)


def test_an_interrupt_is_passed_on(monkeypatch: pytest.MonkeyPatch, people: People) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lying(monkeypatch, interrupt, people)


def test_a_key_is_read_once(monkeypatch: pytest.MonkeyPatch, people: People) -> None:
    import pysequoia

    read: List[bytes] = []

    class Cert:
        @staticmethod
        def from_bytes(data: bytes) -> Any:
            read.append(data)
            return pysequoia.Cert.from_bytes(data)

    stand_in(monkeypatch, Cert=Cert)
    engine = SequoiaEngine(NEVER)
    read.clear()
    for _ in range(3):
        assert engine.verify(DATA, people.signature("marek"), people.key("marek")).outcome is Outcome.GOOD
    assert engine.verify(DATA, people.signature("joanna"), people.key("joanna")).outcome is Outcome.GOOD
    assert len(read) == 2


# The clock.


@pytest.mark.parametrize("choice", ["gpgv", "sequoia"])
def test_what_has_expired_by_the_clock_has_expired(people: People, choice: str) -> None:
    """The engines' own clocks cannot be set; both are told the same one for what is decided here."""
    key, signature = people.key("expired"), people.signature("expired", at=IN_TIME)
    assert key.expires is not None
    engine: Engine
    for now, outcome in ((key.expires - 1, None), (key.expires, Outcome.EXPIRED_KEY)):
        with closing(clocked(choice, now)) as engine:
            found = engine.verify(DATA, signature, key).outcome
            # gpgv's own clock knows better than one that is set back.
            assert found is (outcome or (Outcome.GOOD if choice == "sequoia" else Outcome.EXPIRED_KEY))


@pytest.mark.parametrize("choice", ["gpgv", "sequoia"])
@pytest.mark.parametrize("ahead, outcome", [(300, Outcome.GOOD), (301, Outcome.BAD)])
def test_a_signature_from_the_future_is_not_good(people: People, choice: str, ahead: int, outcome: Outcome) -> None:
    signature = people.signature("marek")
    with closing(clocked(choice, signature.created - ahead)) as engine:
        assert engine.verify(DATA, signature, people.key("marek")).outcome is outcome


@pytest.mark.parametrize("choice", ["gpgv", "sequoia"])
def test_a_signature_ends_when_its_signer_said(people: People, choice: str) -> None:
    signature = people.signature("marek", "--default-sig-expire", "3d")
    assert signature.expires == signature.created + 3 * DAY
    for now, outcome in ((signature.expires - 1, Outcome.GOOD), (signature.expires, Outcome.BAD)):
        with closing(clocked(choice, now)) as engine:
            assert engine.verify(DATA, signature, people.key("marek")).outcome is outcome


def clocked(choice: str, now: int) -> Engine:
    from multisig.openpgp.gpgv import GpgvEngine

    return GpgvEngine(clock=lambda: now) if choice == "gpgv" else SequoiaEngine(NEVER, clock=lambda: now)


# Both.


DIFFERENT = {
    "one says bad": (GOOD, Checked(Outcome.BAD, "no")),
    "one says expired": (GOOD, GOOD._replace(outcome=Outcome.EXPIRED_KEY)),
    "one says revoked": (GOOD._replace(outcome=Outcome.EXPIRED_KEY), Checked(Outcome.REVOKED_KEY)),
    "another primary": (GOOD, GOOD._replace(primary="C" * 40)),
    "another issuer": (GOOD, GOOD._replace(issuer="C" * 40)),
    "another date": (GOOD, GOOD._replace(created=8)),
}


@pytest.mark.parametrize("first, second", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_two_engines_differ_on_does_not_count_whichever_is_first(
    people: People, first: Checked, second: Checked
) -> None:
    for one, two in ((first, second), (second, first)):
        found = both(one, two, people)
        assert found.outcome is Outcome.BAD
        assert "engines differ" in found.reason
        assert (found.primary, found.issuer) == ("", "")


def test_what_two_engines_agree_on_is_what_they_say(people: People) -> None:
    assert both(GOOD, GOOD, people) == GOOD
    bad = Checked(Outcome.BAD, "over other content")
    assert both(bad, Checked(Outcome.BAD, "or not by this key"), people) == bad
    assert both(bad, Checked(Outcome.REVOKED_KEY), people) == bad


def test_an_engine_that_fails_leaves_the_other_without_a_say(people: People) -> None:
    failure = UncheckedSignatureError("?")
    for first, second in ((GOOD, failure), (failure, GOOD)):
        with pytest.raises(UncheckedSignatureError):
            both(first, second, people)


def test_both_are_closed() -> None:
    first, second = Oracle(GOOD), Oracle(GOOD)
    BothEngine(first, second).close()
    assert first.closed and second.closed


def both(first: "Checked | Exception", second: "Checked | Exception", people: People) -> Checked:
    return BothEngine(Oracle(first), Oracle(second)).verify(DATA, people.signature("marek"), people.key("marek"))

