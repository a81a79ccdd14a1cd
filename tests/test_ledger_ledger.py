"""Reserving and settling in memory: never beyond what was leased, and nothing left over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.claims import Claim
from budget_proxy.ledger.ledger import Ledger, Shortage
from budget_proxy.ledger.limits import EACH, Limit, Whose, runs_of
from budget_proxy.ledger.refusal import Refusal
from budget_proxy.ledger.totals import Share
from budget_proxy.types import CallRecord
from tests.bank import Bank

NOON = 1_790_000_000.0
WHOSE = Whose(agent="coder", model="m")


def claim(
    name: str, reserve: int, *, worst: int = 0, whose: Whose = WHOSE, now: float = NOON
) -> Claim:
    """A claim of so many tokens, certain to need them."""
    share = Share(reserve, worst or reserve, float(reserve), 0.0, 0.0)
    return Claim((name, 1), whose, now, {"tokens": share, "output_tokens": share, "usd": share})


def row(name: str, tokens: int, ts: float = NOON, **values: object) -> CallRecord:
    """A row that used so many tokens."""
    return CallRecord(
        ts, "openai.chat", "m", name, agent="coder", input_tokens=0, output_tokens=tokens,
        **values,  # type: ignore[arg-type]
    )  # fmt: skip


def reserve(ledger: Ledger, bank: Bank, asked: Claim) -> Refusal | None:
    """Reserve, asking the bank as often as the ledger wants."""
    found = ledger.reserve(asked)
    while isinstance(found, Shortage):
        found = ledger.reserve(asked, bank.lease(found.wanted))
    return found


def test_a_call_is_admitted_up_to_the_limit_and_refused_beyond_it() -> None:
    """What is held counts; what was held and not used is free again."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "lifetime", id=1))
    assert reserve(ledger, bank, claim("a", 600)) is None
    refusal = reserve(ledger, bank, claim("b", 500))
    assert refusal is not None
    assert refusal.message == (
        "limit 1 (all calls: 1,000 tokens in all) is reached; 0 tokens are used and "
        "600 tokens held by calls under way; this call may need 500 tokens"
    )
    ledger.settle(("a", 1), row("a", 100))
    assert reserve(ledger, bank, claim("b", 500)) is None


def test_an_account_that_became_short_while_another_was_leased_is_leased_too() -> None:
    """Other calls may use up what was free there: no reason to refuse while there is room."""
    ledger = Ledger()
    bank = Bank(
        ledger,
        Limit("tokens", 1000, "lifetime", id=1),
        Limit("output_tokens", 1000, "lifetime", (("user", "u"),), id=2),
    )
    assert reserve(ledger, bank, claim("first", 100)) is None
    ledger.settle(("first", 1), row("first", 0))  # 100 of the first limit are free now
    asked = claim("mine", 100, whose=Whose(user="u", model="m"))
    shortage = ledger.reserve(asked)
    assert isinstance(shortage, Shortage)
    assert [account.limit for account in shortage.wanted] == [2]
    assert reserve(ledger, bank, claim("faster", 100)) is None  # it takes them
    again = ledger.reserve(asked, bank.lease(shortage.wanted))
    assert isinstance(again, Shortage)
    assert [account.limit for account in again.wanted] == [1]
    assert ledger.reserve(asked, bank.lease(again.wanted)) is None


def test_a_store_that_cannot_be_asked_refuses() -> None:
    """Whatever is short: nobody knows what is left."""
    ledger = Ledger()
    Bank(ledger, Limit("tokens", 1000, "lifetime", id=1))
    assert isinstance(ledger.reserve(claim("a", 100)), Shortage)
    assert isinstance(ledger.reserve(claim("a", 100), {}), Refusal)


def test_what_was_leased_needs_no_store() -> None:
    """The second call is admitted of what the first left."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "day", id=1))
    reserve(ledger, bank, claim("a", 600))
    ledger.settle(("a", 1), row("a", 100))
    assert ledger.reserve(claim("b", 500)) is None
    assert bank.asked == 1


def test_all_limits_that_apply_are_reserved_or_none() -> None:
    """A call that the second limit refuses holds nothing of the first."""
    ledger = Ledger()
    bank = Bank(
        ledger,
        Limit("tokens", 1000, "day", id=1),
        Limit("tokens", 100, "day", (("agent", "coder"),), id=2),
        Limit("tokens", 1, "day", (("agent", "writer"),), id=3),
    )
    refusal = reserve(ledger, bank, claim("a", 600))
    assert refusal is not None
    assert refusal.limit.id == 2
    assert ledger.open() == {}
    assert reserve(ledger, bank, claim("b", 100)) is None


def test_zero_is_refused_without_asking() -> None:
    """A limit of nothing lets nothing through."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("usd", 0, "month", id=1))
    refusal = reserve(ledger, bank, claim("a", 0))
    assert refusal is not None
    assert refusal.message.endswith("is 0: no call is allowed")
    assert bank.asked == 0


def test_soft_limits_refuse_nothing() -> None:
    """They are for alerts."""
    ledger = Ledger()
    Bank(ledger, Limit("tokens", 1, "day", action="alert", id=1))
    assert not ledger
    assert ledger.reserve(claim("a", 600)) is None


def test_each_value_has_an_account_of_its_own() -> None:
    """One user's use takes nothing from another's."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 100, "day", (("user", EACH),), id=1))
    for user in ("ann", "bob"):
        assert reserve(ledger, bank, claim(user, 100, whose=Whose(user=user))) is None
    assert reserve(ledger, bank, claim("c", 1, whose=Whose(user="ann"))) is not None


def test_a_limit_that_names_a_value_takes_the_place_of_the_one_for_each() -> None:
    """Each user has 100 tokens and Bob 500; each run 200, one of them 300, its parts still 200."""
    ledger = Ledger()
    bank = Bank(
        ledger,
        Limit("tokens", 100, "day", (("user", EACH),), id=1),
        Limit("tokens", 500, "day", (("user", "bob"),), id=2),
        Limit("tokens", 200, "lifetime", (("run", EACH),), id=3),
        Limit("tokens", 300, "lifetime", (("run", "ticket"),), id=4),
    )
    bob, ann = Whose(user="bob"), Whose(user="ann")
    assert reserve(ledger, bank, claim("a", 100, whose=bob)) is None
    ledger.release(("a", 1))
    ticket = Whose(user="bob", runs=runs_of("ticket"))
    part = Whose(user="bob", runs=runs_of("ticket/fix"))
    refused = reserve(ledger, bank, claim("b", 201, whose=part))
    assert refused is not None
    assert (refused.limit.id, refused.account.part) == (3, "ticket/fix")
    assert reserve(ledger, bank, claim("c", 300, whose=ticket)) is None
    refused = reserve(ledger, bank, claim("d", 1, whose=part))
    assert refused is not None
    assert refused.limit.id == 4
    refused = reserve(ledger, bank, claim("e", 101, whose=ann))
    assert refused is not None
    assert refused.limit.id == 1


def test_what_was_leased_of_an_account_counts_after_a_limit_took_its_place() -> None:
    """Use goes on to be taken off a lease, so that this side and the store's stay the same."""
    ledger = Ledger()
    each = Limit("tokens", 1000, "day", (("user", EACH),), id=1)
    bank = Bank(ledger, each)
    bob = Whose(user="bob")
    assert reserve(ledger, bank, claim("a", 600, whose=bob)) is None
    ledger.adopt([each, Limit("tokens", 5000, "day", (("user", "bob"),), id=2)])
    ledger.settle(("a", 1), row("a", 400, user="bob"))
    given = ledger.idle(NOON + 10)
    assert {account.limit: amount for account, amount in given.items()} == {1: 200}


def test_a_childs_use_comes_out_of_its_parents() -> None:
    """A run's calls count for the run and for all above it."""
    ledger = Ledger()
    bank = Bank(
        ledger,
        Limit("tokens", 100, "lifetime", (("run", "ticket"),), id=1),
        Limit("tokens", 80, "lifetime", (("run", "ticket/fix"),), id=2),
    )
    fix, test = (Whose(runs=runs_of(f"ticket/{name}")) for name in ("fix", "test"))
    assert reserve(ledger, bank, claim("a", 80, whose=fix)) is None
    assert reserve(ledger, bank, claim("b", 30, whose=test)) is not None
    assert reserve(ledger, bank, claim("c", 20, whose=test)) is None


def test_the_worst_case_is_held_where_a_limit_says_so() -> None:
    """In worst-case mode what a call could use, else what it is predicted to."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "day", hold="worst", id=1))
    assert reserve(ledger, bank, claim("a", 10, worst=1001)) is not None
    assert reserve(ledger, bank, claim("b", 10, worst=1000)) is None


def test_a_window_that_begins_is_an_account_of_its_own() -> None:
    """What was used yesterday does not count today; a late row counts where it belongs."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 100, "day", id=1))
    assert reserve(ledger, bank, claim("a", 100)) is None
    assert reserve(ledger, bank, claim("b", 100, now=NOON + 86_400)) is None
    ledger.settle(("a", 1), row("a", 10))
    assert reserve(ledger, bank, claim("c", 1, now=NOON + 86_400)) is not None
    assert reserve(ledger, bank, claim("d", 90)) is None


def test_a_reservation_that_nobody_settles_is_let_go_and_counts_if_it_settles_later() -> None:
    """An orphan holds its share until its time is over; its use is not forgotten."""
    ledger = Ledger(ttl=60.0)
    bank = Bank(ledger, Limit("tokens", 100, "lifetime", id=1))
    reserve(ledger, bank, claim("a", 100))
    assert reserve(ledger, bank, claim("b", 100, now=NOON + 59)) is not None
    assert reserve(ledger, bank, claim("c", 100, now=NOON + 60)) is None
    assert [ledger.expired(), ledger.expired()] == [{1: 1}, {}]
    ledger.settle(("c", 1), row("c", 0))
    ledger.settle(("a", 1), row("a", 40))
    assert reserve(ledger, bank, claim("d", 61, now=NOON + 61)) is not None
    assert reserve(ledger, bank, claim("e", 60, now=NOON + 61)) is None


def test_a_clock_set_back_makes_no_reservation_longer() -> None:
    """Neither one that was made while it was ahead, nor those that come behind it."""
    ledger = Ledger(ttl=60.0)
    bank = Bank(ledger, Limit("tokens", 100, "lifetime", id=1))
    assert reserve(ledger, bank, claim("ahead", 50, now=NOON + 86_400)) is None
    assert reserve(ledger, bank, claim("late", 50)) is None
    ledger.expire(NOON + 59)
    assert ledger.expired() == {}
    ledger.expire(NOON + 60)
    assert ledger.expired() == {1: 2}
    assert reserve(ledger, bank, claim("next", 100, now=NOON + 60)) is None


def test_a_limit_of_what_is_under_way_counts_nothing_afterwards() -> None:
    """A limit by flight is free again as calls end."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("output_tokens", 100, "flight", id=1))
    for number in range(5):
        assert reserve(ledger, bank, claim(f"c{number}", 100)) is None
        ledger.settle((f"c{number}", 1), row(f"c{number}", 100))


def test_without_a_store_what_is_leased_goes_on_and_the_rest_is_refused() -> None:
    """A fault of the store is no way around a limit."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "day", id=1))
    reserve(ledger, bank, claim("a", 600))
    ledger.settle(("a", 1), row("a", 100))
    assert ledger.reserve(claim("b", 500)) is None
    wanted = ledger.reserve(claim("c", 1))
    assert isinstance(wanted, Shortage)
    refusal = ledger.reserve(claim("c", 1), {})
    assert isinstance(refusal, Refusal)
    assert "could not be looked at, and lets nothing more through until it can" in refusal.message
    assert refusal.retry_after is None  # nobody knows when the store is there again


def test_what_was_leased_too_long_ago_is_asked_for_before_it_is_used() -> None:
    """A machine that slept: others may have been given it. Without an answer it goes on."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "lifetime", id=1))
    reserve(ledger, bank, claim("a", 600))
    ledger.settle(("a", 1), row("a", 0))
    ledger.trusted = NOON + 60
    assert ledger.reserve(claim("b", 100, now=NOON + 59)) is None
    late = claim("c", 500, now=NOON + 60)
    shortage = ledger.reserve(late)
    assert isinstance(shortage, Shortage)
    assert list(shortage.wanted.values()) == [600]
    assert ledger.reserve(late, bank.lease(shortage.wanted)) is None  # nobody has taken it
    ledger.lost()
    assert isinstance(ledger.reserve(claim("d", 1, now=NOON + 60), {}), Refusal)


def test_rows_that_wait_to_be_written_come_off_what_void_leases_leave() -> None:
    """The store takes them off when they are written; those before the limit never."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "lifetime", id=2))
    assert reserve(ledger, bank, claim("a", 500)) is None
    waiting = [row("a", 300, limits=2), row("b", 100, limits=1)]
    ledger.settle(("a", 1), waiting[0])
    ledger.lost(waiting)
    assert ledger._states[Account(2, "", 0.0)].free == -300


def test_what_is_idle_is_given_back() -> None:
    """A second after the last call all that open calls do not hold; of ended windows at once."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "day", id=1), Limit("tokens", 900, "minute", id=2))
    reserve(ledger, bank, claim("a", 600))
    reserve(ledger, bank, claim("b", 200))
    ledger.settle(("a", 1), row("a", 100))
    assert ledger.idle(NOON + 0.5) == {}
    given = ledger.idle(NOON + 1.5)
    assert {account.limit: amount for account, amount in given.items()} == {1: 500, 2: 500}
    assert ledger.idle(NOON + 3) == {}


def test_what_is_too_little_for_a_call_is_given_back_however_often_it_is_tried() -> None:
    """Another process may have just as much too little: both together have enough."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "lifetime", id=1))
    reserve(ledger, bank, claim("a", 600))
    ledger.settle(("a", 1), row("a", 100))
    free = 500
    for number in range(3):
        assert reserve(ledger, bank, claim(f"too much {number}", 2_000)) is not None
        bank.take_back(given := ledger.idle(NOON + 0.1))
        assert sum(given.values()) == free
        free = 0


def test_a_later_attempt_of_a_call_begun_long_ago_lets_nobody_go() -> None:
    """It is as old as its call, and no sign that the clock was set back."""
    ledger = Ledger(ttl=100.0)
    bank = Bank(ledger, Limit("tokens", 100, "lifetime", id=1))
    assert reserve(ledger, bank, claim("long", 60, now=NOON)) is None
    ledger.settle(("long", 1), row("long", 0))
    assert reserve(ledger, bank, claim("other", 30, now=NOON + 90)) is None
    again = replace(claim("long", 60, now=NOON), key=("long", 2))
    assert reserve(ledger, bank, again) is None
    ledger.expire(NOON + 150)
    assert set(ledger._held) == {("other", 1), ("long", 2)}


def test_what_a_named_limit_takes_over_is_owed_to_it_alone() -> None:
    """Of its part of `*` this process has nothing, and the store takes nothing off that either."""
    ledger = Ledger()
    each = Limit("tokens", 100, "lifetime", (("user", EACH),), id=1)
    bank, bob = Bank(ledger, each), Whose(user="bob")
    assert reserve(ledger, bank, claim("a", 100, whose=bob)) is None
    ledger.settle(("a", 1), row("a", 100, user="bob"))
    bank = Bank(ledger, each, Limit("tokens", 500, "lifetime", (("user", "bob"),), id=2))
    assert reserve(ledger, bank, claim("b", 50, whose=bob)) is None
    ledger.settle(("b", 1), row("b", 50, user="bob"))
    assert ledger._states[Account(1, "bob", 0.0)].free == 0


def test_names_that_are_idle_are_forgotten() -> None:
    """But for those that used more than they had leased, or were refused a moment ago."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 100, "lifetime", (("user", EACH),), id=1))
    for user, used in (("ann", 40), ("bob", 100), ("eve", 130), ("fay", 0)):
        whose = Whose(user=user)
        assert reserve(ledger, bank, claim(user, 100, whose=whose)) is None
        ledger.settle((user, 1), row(user, used, user=user))
        bank.write(Account(1, user, 0.0), used)
    refused = reserve(ledger, bank, claim("no", 1, whose=Whose(user="bob")))
    assert refused is not None
    ledger.refused(refused)
    bank.take_back(ledger.idle(NOON + 2))
    assert {account.part for account in ledger._states} == {"bob", "eve"}
    bank.take_back(ledger.idle(NOON + 62))
    assert {account.part for account in ledger._states} == {"eve"}
    slow = ledger.reserve(claim("slow", 10, whose=Whose(user="fay"), now=NOON + 62))
    assert isinstance(slow, Shortage)
    bank.take_back(ledger.idle(NOON + 70))
    bank.lease(slow.wanted)  # the store has taken its time
    assert ledger.reserve(claim("slow", 10, whose=Whose(user="fay"), now=NOON + 70)) is None
    assert reserve(ledger, bank, claim("more", 60, whose=Whose(user="ann"))) is None
    assert reserve(ledger, bank, claim("much", 1, whose=Whose(user="ann"))) is not None


def test_calls_in_line_are_not_passed() -> None:
    """Who waits first is admitted first, even where a smaller call would fit."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 100, "flight", id=1))
    reserve(ledger, bank, claim("a", 60))
    refusal = reserve(ledger, bank, claim("big", 100))
    assert refusal is not None
    assert refusal.passing
    ticket = ledger.queue(refusal.account, ("big", 1))
    behind = reserve(ledger, bank, claim("small", 10))
    assert behind is not None
    second = ledger.queue(behind.account, ("small", 1))
    assert not ticket.done()
    ledger.settle(("a", 1), row("a", 60))
    assert (ticket.done(), second.done()) == (True, False)
    assert reserve(ledger, bank, claim("small", 10)) is not None
    assert reserve(ledger, bank, claim("big", 100)) is None
    ledger.leave(("big", 1))
    assert second.done()


def test_a_forked_child_holds_nothing() -> None:
    """What its parent holds is not the child's to use."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "day", id=1))
    reserve(ledger, bank, claim("a", 600))
    ledger.settle(("a", 1), row("a", 0))
    ledger.begin_process()
    assert isinstance(ledger.reserve(claim("b", 10)), Shortage)
    assert ledger.open() == {}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(1, 300), st.integers(0, 400)),
        st.tuples(st.just("settle"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("idle"), st.just(0), st.just(0)),
    ),
    max_size=80,
)


@settings(max_examples=200)
@given(STEPS, st.integers(0, 2_000))
def test_no_call_is_admitted_beyond_the_limit_but_by_what_it_used_over_its_reserve(
    steps: list[tuple[str, int, int]], amount: int
) -> None:
    """At any time: used + held <= limit + what settled calls used over their reserves."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", amount, "lifetime", id=1))
    account = Account(1, "", 0.0)
    open_: list[tuple[str, int, int]] = []
    used = over = 0
    for number, (what, first, second) in enumerate(steps):
        if what == "call":
            if reserve(ledger, bank, claim(f"c{number}", first)) is None:
                open_.append((f"c{number}", first, second))
        elif what == "idle":
            bank.take_back(ledger.idle(NOON + 10))
        elif open_:
            name, reserved, uses = open_.pop(first % len(open_))
            if what == "cancel":
                ledger.release((name, 1))
            else:
                ledger.settle((name, 1), row(name, uses))
                bank.write(account, uses)
                used, over = used + uses, over + max(uses - reserved, 0)
        assert used + sum(reserved for _, reserved, _ in open_) <= amount + over
    for name, _, _ in open_:
        ledger.release((name, 1))
    bank.take_back(ledger.idle(NOON + 10))
    assert ledger.open() == {}
    assert bank.used.get(account, 0) == used
    assert bank.lent.get(account, 0) <= 0  # nothing is left reserved


@pytest.mark.parametrize("amount", [10, 10_000])
def test_a_changed_limit_gives_back_what_is_free(amount: int) -> None:
    """What was leased under the old amount may be more than the new one allows."""
    ledger = Ledger()
    bank = Bank(ledger, Limit("tokens", 1000, "day", id=1))
    reserve(ledger, bank, claim("a", 600))
    ledger.settle(("a", 1), row("a", 0))
    ledger.adopt([Limit("tokens", amount, "day", id=1)])
    assert sum(ledger.idle(NOON).values()) == 600
    ledger.adopt([])
    assert not ledger
