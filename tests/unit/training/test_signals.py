"""A stop is remembered, the second Ctrl-C is not, and old handlers come back."""

import os
import signal
import threading

import pytest

from ushape.training.signals import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_remembered(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.is_set
        os.kill(os.getpid(), number)
        assert stop.is_set
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


def test_a_second_interrupt_stops_at_once_but_a_second_termination_does_not():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            pytest.fail("a second SIGTERM stopped at once")
        assert stop.is_set
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="mine"), StopRequest():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGTERM) == before


def test_in_another_thread_nothing_is_touched():
    before, seen = signal.getsignal(signal.SIGINT), []

    def run():
        with StopRequest() as stop:
            seen.append((stop.is_set, signal.getsignal(signal.SIGINT) == before))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, True)]
