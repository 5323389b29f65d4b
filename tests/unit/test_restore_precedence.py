"""Which of the stages that restore at once comes first."""

import threading

import pytest

from streams.runtime.restore import PAUSE_KEYS, Precedence, _with_pauses

PATIENCE_S = 30.0


def test_others_wait_for_who_goes_first():
    """Whoever restores stands still while the first is at work, and goes on once it is done."""
    precedence, passed = Precedence(), threading.Event()

    def other() -> None:
        precedence.wait()
        passed.set()

    with precedence.first():
        thread = threading.Thread(target=other)
        thread.start()
        assert not passed.wait(0.05), "the other did not wait"
    assert passed.wait(PATIENCE_S)
    thread.join()


def test_a_first_that_fails_holds_up_nobody():
    """A restore that ends with an error lets the others go on."""
    precedence = Precedence()
    with pytest.raises(RuntimeError), precedence.first():
        raise RuntimeError

    precedence.wait()  # for ever, if this were not so


def test_all_records_pass_with_pauses_between():
    """Nothing is lost or put into another order, and there is a pause before every so many keys."""
    records = {b"%d" % n: b"" for n in range(2 * PAUSE_KEYS + 1)}
    pauses: list[int] = []

    found = list(_with_pauses(records, lambda: pauses.append(1)))

    assert list(records.items()) == found
    assert 3 == len(pauses)
