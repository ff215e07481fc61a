"""The documents are short, and the files they name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "configs/README.md", ROOT / "launch/README.md", *ROOT.glob("third_party/**/README.md")]
COMMAND = r"^```\n(python3 -m venv [^\n]*)\n^```$"  # one long line, run verbatim by .ci/run


def each_document():
    return pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def test_the_readme_is_short():
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    without_commands = re.sub(COMMAND, "", text, flags=re.MULTILINE)
    assert [line for line in without_commands.splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("heading", ["Run", "Test"])
def test_the_readme_has_one_command_under_the_heading(heading):
    sections = re.split(r"^## ", README.read_text(), flags=re.MULTILINE)
    (section,) = [section for section in sections if section.startswith(heading)]
    first_block = re.search(r"^```.*?^```$", section, re.MULTILINE | re.DOTALL).group()
    assert re.fullmatch(COMMAND, first_block, re.MULTILINE)


@each_document()
def test_every_config_named_in_a_document_exists(path):
    text = path.read_text()
    named = set(re.findall(r"\bconfigs/[\w/]+\.py\b", text))
    prefixes = re.findall(r"\bCONFIGS=([\w/]+)", text)
    assert [name for name in named if "NAME" not in name and not (ROOT / name).is_file()] == []
    assert [prefix for prefix in prefixes if not list(ROOT.glob(f"{prefix}*.py"))] == []


@each_document()
def test_every_relative_link_of_a_document_exists(path):
    links = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)$", path.read_text(), re.MULTILINE)
    files = {(inline or reference).partition("#")[0] for inline, reference in links}
    local = {file for file in files if file and "://" not in file}
    assert [file for file in local if not (path.parent / file).exists()] == []
