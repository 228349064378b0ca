"""What the faults' bench takes an edge at its word to keep, and what it cannot know of."""

from bench._kept_answers import KeptAnswers

STORED = "edge-1; fwd=uri-miss; stored; detail=rehydrated"


def test_what_was_kept_last_is_expected_and_what_had_to_make_room_is_not() -> None:
    kept = KeptAnswers(100)
    for number in range(5):
        kept.note(f"/{number}", STORED, 40)
    assert [f"/{number}" in kept for number in range(5)] == [False, False, False, True, True]


def test_an_answer_that_is_kept_again_takes_no_more_room() -> None:
    kept = KeptAnswers(100)
    kept.note("/a", STORED, 60)
    for _ in range(9):
        kept.note("/b", STORED, 40)
    kept.note("/a", "edge-1; hit; ttl=2; detail=rehydrated", 60)
    assert "/a" in kept and "/b" in kept


def test_what_was_not_kept_is_not_expected_nor_anything_past_a_broken_disk() -> None:
    kept = KeptAnswers(100)
    kept.note("/a", "edge-1; fwd=uri-miss; detail=rehydrated", 1)
    assert "/a" not in kept
    kept.note("/b", STORED, 1)
    kept.forget()
    assert "/b" not in kept
