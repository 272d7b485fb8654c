"""The host's side of a link on quiet lines, in virtual time: it keeps them full, and sends nothing twice."""

import numpy as np
import pytest

from kanrtl.errors import LinkError
from kanrtl.link.host_link import HostLink
from kanrtl.link.layout import BUFFER_BYTES, Kind
from kanrtl.sessions.linked_learner import LinkedLearner
from support.linked_boards import tracker
from support.timed_line import TimedLine

SAMPLE_BYTES = 4


class RestartedLine(TimedLine):
    """A line to a device that can be started anew: it sends zeros where it is to send answers again."""

    restarted, sent = False, 0

    def send(self, content: bytes) -> None:
        self.sent += len(content)
        super().send(content)

    def _obey(self, content: bytes | None, now: float) -> None:
        if content is not None and content[0] == Kind.HELLO:
            self.restarted = False
        if self.restarted:
            self._number = -1
            if content is not None and content[0] == Kind.RESEND and self._answer_end <= now:
                self._answer(bytes(BUFFER_BYTES), now)
        super()._obey(content, now)


def learn(learner: LinkedLearner, samples: int) -> None:
    codes = np.zeros((samples, 1), dtype=np.int64)
    learner.run(codes, codes, np.full(samples, True))


@pytest.mark.parametrize("latency", [0.0, 0.016], ids="latency {}".format)
@pytest.mark.parametrize("baud", [9_600, 115_200, 921_600, 3_000_000])
def test_a_quiet_line_is_full_and_nothing_is_sent_again(baud: int, latency: float) -> None:
    """Also where much follows upon little: the time that a short answer takes says nothing of a full line."""
    line = TimedLine(tracker(), baud, latency)
    link = HostLink(line)
    learner = LinkedLearner(link)
    samples = 1500
    for count in (1, 1, 1, 500, 1, 1, 3, 60, samples):
        start = line.now()
        learn(learner, count)
    # The adapter keeps the last answer for a while.
    share = samples * SAMPLE_BYTES * 10 / baud / (line.now() - start - latency)
    assert share > 0.88
    assert line.resends == link.recoveries == 0


@pytest.mark.parametrize("distance", [0.08, 0.3])
def test_a_line_that_is_long(distance: float) -> None:
    """Several hellos are on the way when the first is answered."""
    line = TimedLine(tracker(), 3_000_000, distance=distance)
    link = HostLink(line)
    learner = LinkedLearner(link)
    for count in (1, 1, 2000, 1, 1, 2000, 1):
        learn(learner, count)
    assert line.resends == link.recoveries == 0


def test_another_learner_is_never_taken_for_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The learner at the end of the wire changes while nothing is said; what it is asked for fails every time."""
    line = TimedLine(tracker(), 3_000_000)
    link = HostLink(line)
    learner, device = LinkedLearner(link), link.device
    with monkeypatch.context() as patched:
        patched.setattr(line, "send", lambda _: None)
        with pytest.raises(LinkError, match="does not answer any more"):
            learn(learner, 1)
    line.reload(tracker().replace(grid_size=6))
    for _ in range(3):
        with pytest.raises(LinkError, match="another learner answers than before; connect anew"):
            learn(learner, 1)
        assert link.device is device
    line.reload(tracker())
    learn(learner, 1)


def test_zeros_of_a_device_that_was_started_anew_are_not_answered_without_end() -> None:
    line = RestartedLine(tracker(), 3_000_000)
    learner = LinkedLearner(HostLink(line, patience=0.3))
    learn(learner, 20)
    line.restarted, line.sent = True, 0
    with pytest.raises(LinkError, match="does not answer any more"):
        learn(learner, 1)
    assert line.sent < 10_000
    start = line.now()
    learn(learner, 1)
    assert line.now() - start < 0.3
