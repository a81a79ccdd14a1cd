from __future__ import annotations

from dataclasses import replace

from budget_proxy.policy.sessions import Sessions
from budget_proxy.types import Call, Guidance, Lookup, Scope, Session
from tests.makers import NOW, SALT, call


def _book(holdout: float = 0.0) -> Sessions:
    return Sessions(SALT, holdout=holdout, silence=3600.0)


def _enter(book: Sessions, its_call: Call, found: Session | None = None) -> Session:
    """What the engine does with a call: find, settle on, hold."""
    answer = book.find(its_call)
    session = book.settle_on(its_call, found if isinstance(answer, Lookup) else answer)
    book.hold(session)
    return session


def test_an_unknown_session_is_asked_for_and_then_held() -> None:
    """The book never guesses that a session is new."""
    book = _book()
    assert isinstance(book.find(call()), Lookup)
    entered = _enter(book, call())
    assert book.find(call()) == entered


def test_two_calls_that_begin_a_session_at_once_share_it() -> None:
    """Both looked it up in vain; the second finds what the first has begun."""
    book = _book()
    first, second = call(), call(id="c2", now=NOW + 1)
    assert isinstance(book.find(first), Lookup)
    begun = _enter(book, first)
    joined = book.settle_on(second, None)
    assert (joined.id, joined.started) == (begun.id, begun.started)


def test_a_conversation_keeps_its_session_as_it_grows() -> None:
    """The digest covers system prompt, tools and first user message, not later turns."""
    book = _book()
    first = _enter(book, call(fingerprint=b"same"))
    later = _enter(book, call(id="c2", fingerprint=b"same", starts=False, now=NOW + 7200))
    assert later.id == first.id
    assert later.seen == NOW + 7200


def test_the_same_opening_after_an_hour_of_silence_is_a_new_session() -> None:
    """At 3,600 s it still belongs; a second later it does not."""
    book = _book()
    first = _enter(book, call())
    assert _enter(book, call(id="c2", now=NOW + 3600)).id == first.id
    fresh = _enter(book, call(id="c3", now=NOW + 3600 + 3601))
    assert fresh.id != first.id
    assert fresh.key == first.key


def test_an_explicit_session_goes_before_everything_and_never_restarts() -> None:
    """The caller says what belongs together."""
    book = _book()
    scope = Scope(session="s1")
    first = _enter(book, call(scope=scope, fingerprint=b"a"))
    later = _enter(book, call(scope=scope, fingerprint=b"b", now=NOW + 99_999))
    assert first.id == later.id
    assert first.arm == later.arm


def test_conversations_of_one_session_share_the_steer_and_each_has_its_note() -> None:
    """One that begins carries the same bytes; one that began without them stays without."""
    book = _book()
    scope = Scope(session="s1")
    first = replace(
        _enter(book, call(scope=scope, fingerprint=b"a")),
        guidance=Guidance("g", "Aim.", "user", 3), effort="low", decided=True,
    )  # fmt: skip
    book.hold(first)
    begins = _enter(book, call(scope=scope, fingerprint=b"b"))
    assert begins.guidance == Guidance("g", "Aim.", "system", 0)
    assert (begins.effort, begins.decided) == ("low", True)
    runs = _enter(book, call(scope=scope, fingerprint=b"c", starts=False))
    assert runs.guidance is None
    assert runs.effort == "low"
    assert len({first.key, begins.key, runs.key}) == 3


def test_a_conversation_of_a_session_known_only_to_the_history_is_its_sibling() -> None:
    """The lookup asks for the conversation, else for anything of the session."""
    elsewhere = _enter(_book(), call(scope=Scope(session="s1"), fingerprint=b"a"))
    book = _book()
    wanted = book.find(call(scope=Scope(session="s1"), fingerprint=b"b"))
    assert isinstance(wanted, Lookup)
    assert wanted.identifier == elsewhere.id
    joined = _enter(book, call(scope=Scope(session="s1"), fingerprint=b"b"), found=elsewhere)
    assert joined.id == elsewhere.id
    assert joined.key == wanted.key


def test_different_keys_cache_keys_and_contents_are_different_sessions() -> None:
    """Two teams with one prompt do not share a session."""
    book = _book()
    ids = {
        _enter(book, one).id
        for one in (
            call(),
            call(scope=Scope(key="team-a")),
            call(cache_key="k"),
            call(fingerprint=b"other"),
            call(conversation="conv"),
        )
    }
    assert len(ids) == 5


def test_a_response_leads_back_to_the_session_that_produced_it() -> None:
    """By previous_response_id, from memory, and from the history under a pseudonym."""
    book = _book()
    first = _enter(book, call())
    stored = book.produced(first, "resp_1")
    assert "resp_1" not in stored
    follow = call(id="c2", previous_response="resp_1", starts=False)
    assert book.find(follow) == first
    after_restart = _book()
    wanted = after_restart.find(follow)
    assert wanted == Lookup(stored, stored)
    assert _enter(after_restart, follow, found=first).id == first.id


def test_another_salt_gives_other_ids() -> None:
    """Ids of one installation mean nothing to another."""
    other = Sessions(SALT[::-1], holdout=0.0, silence=3600.0)
    assert _enter(_book(), call()).id != _enter(other, call()).id


def test_the_arm_is_drawn_by_session_and_never_changes() -> None:
    """Of 500 sessions about half are held out at .5; each stays where it is."""
    book = _book(holdout=0.5)
    arms = {}
    for index in range(500):
        arms[index] = _enter(book, call(fingerprint=str(index).encode())).arm
    assert 180 < sum(arm == "holdout" for arm in arms.values()) < 320
    again = {i: _enter(book, call(fingerprint=str(i).encode())).arm for i in range(500)}
    assert arms == again
