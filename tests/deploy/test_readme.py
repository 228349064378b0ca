"""What the README says is what there is."""

import re

from typer.main import get_command

from deploy.check.stories import STORIES
from deploy.cli import app
from deploy.layout import ROOT

README = (ROOT / "README.md").read_text()


def story_rows() -> list[str]:
    return [
        f"| {number} | {story.title} | {story.expected} |"
        for number, story in enumerate(STORIES, start=1)
    ]


def test_the_readme_numbers_every_story_as_it_is_walked() -> None:
    rows = [line for line in README.splitlines() if re.match(r"\| \d+ \|", line)]
    assert rows == story_rows()


def test_every_command_in_the_readme_exists() -> None:
    commands = get_command(app).list_commands(None)  # type: ignore[attr-defined]
    named = set(re.findall(r"\./rehydrate (?:--torch-index URL )?([a-z]+)", README))
    assert named <= set(commands)
