"""Frames on a wire: there and back, and cut out of anything."""

from hypothesis import given
from hypothesis import strategies as st

from kanrtl.link.frame_codec import LONGEST_FRAME, FrameReader, decode_frame, encode_frame


@given(st.binary(max_size=249))
def test_there_and_back(content: bytes) -> None:
    *frames, rest = encode_frame(content).split(b"\0")
    assert rest == b""
    assert [decode_frame(frame) for frame in frames] == [content]


@given(st.binary(min_size=1, max_size=60), st.data())
def test_one_damaged_bit_is_seen(content: bytes, data: st.DataObject) -> None:
    frame = bytearray(encode_frame(content)[:-1])
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert all(decode_frame(part) != content for part in bytes(frame).split(b"\0"))


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.integers(1, 50), max_size=8))
def test_pieces_do_not_matter(contents: list[bytes], sizes: list[int]) -> None:
    stream, reader, found = b"".join(map(encode_frame, contents)), FrameReader(), []
    for size in [*sizes, len(stream)]:
        found += [decode_frame(frame) for frame in reader.feed(stream[:size])]
        stream = stream[size:]
    assert found == contents


def test_garbage_takes_no_room() -> None:
    reader = FrameReader()
    for _ in range(100):
        assert list(reader.feed(b"x" * 1000)) == []
    (frame,) = reader.feed(b"\0")
    assert len(frame) <= LONGEST_FRAME
    assert [decode_frame(frame) for frame in reader.feed(encode_frame(b"next"))] == [b"next"]
