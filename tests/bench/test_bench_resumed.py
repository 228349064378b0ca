"""A long run goes on with the steps that it had not finished."""

from pathlib import Path

from bench._resumed import Steps


def test_a_step_is_kept_until_all_was_printed(tmp_path: Path) -> None:
    kept = tmp_path / "bench" / "long.json"
    first = Steps(kept)
    assert "one" not in first
    first.keep("one", {"requests": 3})
    after_a_kill = Steps(kept)
    assert after_a_kill["one"] == {"requests": 3}
    after_a_kill.printed()
    assert "one" not in Steps(kept)
