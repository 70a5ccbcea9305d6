"""What holds for the repository as a whole: its layout, its links, and what must never be committed."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from connectors.department import DEPARTMENTS
from gateway.checking import check_all
from gateway.cli import app

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

#: Folders and files of the top level (docs/architecture.md); names that begin with a dot are free.
TOP_LEVEL = {
    *("dags", "connectors", "scoring", "exchange_formats", "gateway", "tests", "docs"),
    *("docker-compose.yml", "Dockerfile", "Makefile", "pyproject.toml", "uv.lock"),
    *("README.md", "README.zh-CN.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"),
}
#: Hosts that serve packages or images: a site has its own, so none is named; the lock file cannot do without.
REGISTRIES = (
    "pypi.org",
    "pythonhosted.org",
    "npmjs.org",
    "deb.debian.org",
    "ghcr.io",
    "quay.io",
    "docker.io",
    "gcr.io",
)
_MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work|root|Users|home/[a-z][\w-]*)/[\w.-]")
_USUAL = r"(?:admin|guest|password|passwd|secret|changeme|change-me|minioadmin|postgres|airflow|rabbitmq|test|123\d*)"
# Quoted, or the bare end of a line of YAML or shell; a bare word of Python is a variable.
_DEFAULT_PASSWORD = re.compile(
    rf"""(?:password|passwd|secret|secret_?key)["']?\s*[:=]\s*(?:["']{_USUAL}["']|{_USUAL}\s*$)""", re.IGNORECASE
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LONGEST_MODULE, _LONGEST_FUNCTION = 500, 60


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is committed or about to be; a source archive without git is taken as it is."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=30)
    if done.returncode:
        found = [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    else:
        found = [ROOT / os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return tuple(path for path in found if path.is_file())


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Path below the root and content of every tracked text file; this file and the lock are not searched."""
    for path in tracked():
        if path in {ROOT / "uv.lock", Path(__file__).resolve()} or (suffixes and path.suffix not in suffixes):
            continue
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def find_lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_top_level_holds_only_what_the_architecture_names_when_listed() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert sorted(name for name in names - TOP_LEVEL if not name.startswith(".")) == []


def test_no_machine_path_is_written_when_files_are_searched() -> None:
    assert find_lines(_MACHINE_PATH) == []


def test_no_registry_is_named_when_files_are_searched() -> None:
    hosts = re.compile(r"(?<![\w-])(?:" + "|".join(re.escape(host) for host in REGISTRIES) + r")(?![\w-])")
    assert find_lines(hosts) == []


def test_no_default_password_is_written_when_files_are_searched() -> None:
    found = find_lines(_DEFAULT_PASSWORD)
    assert [line for line in found if not line.startswith("tests/")] == []


def test_default_password_is_found_when_there_is_one() -> None:
    assert _DEFAULT_PASSWORD.search("MINIO_ROOT_PASSWORD: minioadmin")
    assert _MACHINE_PATH.search("cd /home/somebody/project")


def test_nothing_is_left_for_later_when_code_is_searched() -> None:
    mark = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
    assert [line for line in find_lines(mark) if line.partition(":")[0].endswith((".py", ".yaml", ".yml", ".sh"))] == []


def test_module_and_function_fit_when_measured() -> None:
    long: list[str] = []
    for name, text in texts(".py"):
        if name.startswith("tests/"):
            continue
        if text.count("\n") > _LONGEST_MODULE:
            long.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > _LONGEST_FUNCTION:
                    long.append(f"{name}:{node.lineno} {node.name}: {lines} lines")
    assert long == []


def test_module_name_says_what_it_holds_when_read() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
    assert [name for name, _ in texts(".py") if Path(name).stem in vague] == []


def test_relative_link_leads_somewhere_when_followed() -> None:
    broken: list[str] = []
    for name, text in texts(".md"):
        prose = _FENCE.sub("", text)
        for match in _LINK.finditer(prose):
            target = match[1] or match[2]
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            found = (ROOT / name).parent / path if path else ROOT / name
            if not found.exists():
                broken.append(f"{name}: {target}")
            elif anchor and found.suffix == ".md" and anchor not in headings(found):
                broken.append(f"{name}: {target}: no such heading")
    assert broken == []


def headings(path: Path) -> set[str]:
    """Anchors as the usual renderers make them: lower case, blanks to hyphens, punctuation away."""
    lines = re.findall(r"^#{1,6} (.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.strip().lower()).replace(" ", "-") for line in lines}


def test_page_has_its_english_companion_when_it_is_chinese() -> None:
    chinese = [ROOT / name for name, _ in texts(".md") if name.endswith(".zh-CN.md")]
    alone = [path.name for path in chinese if not path.with_name(path.name.replace(".zh-CN", "")).exists()]
    assert alone == []


def test_make_target_exists_when_a_page_names_it() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = {
        (name, target)
        for name, text in texts(".md")
        for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)
    }
    assert sorted((name, target) for name, target in called if target not in targets) == []


def test_command_exists_when_a_page_names_it() -> None:
    group = typer.main.get_command(app)
    commands = set(group.list_commands(None))  # type: ignore[attr-defined]
    called = {
        (name, command)
        for name, text in texts(".md")
        for command in re.findall(r"(?:^|`|run |exec \S+ |--rm \S+ )xinqiao ([a-z][a-z-]*)", text, re.MULTILINE)
    }
    assert sorted((name, command) for name, command in called if command not in commands) == []


@pytest.mark.parametrize("page", ["docs/add-a-department.md", "docs/add-a-department.zh-CN.md"])
def test_department_of_the_walk_through_has_no_problem_when_checked(page: str, tmp_path: Path) -> None:
    shutil.copytree(DEPARTMENTS, tmp_path / "departments")
    example = re.search(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert example
    (tmp_path / "departments" / "tobacco_monopoly.yaml").write_text(example[1], encoding="utf-8")
    assert [str(problem) for problem in check_all(tmp_path / "departments")] == []


def test_layers_hold_when_imports_are_followed() -> None:
    done = subprocess.run(
        [str(BIN / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("path", [".ci/run", ".ci/bootstrap", "gateway/server/complete-environment"])
def test_script_is_executable_and_strict_when_called(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert os.access(ROOT / path, os.X_OK)
    assert re.search(r"^set -eu", text, re.MULTILINE)


def test_ci_ends_with_the_command_of_the_readme_when_it_runs() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line]
    assert lines[-1] == "make test"


def test_licence_is_one_and_the_same_when_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence


def test_pool_is_made_before_airflow_starts_when_a_task_waits_for_one() -> None:
    used = {
        pool
        for name, text in texts(".py")
        if name.startswith(("dags/", "gateway/airflow/"))
        for pool in re.findall(r"\bpool=[\"']([\w-]+)[\"']", text)
    }
    made = (ROOT / "gateway" / "server" / "initialise").read_text(encoding="utf-8")
    assert [pool for pool in sorted(used) if f"airflow pools set {pool}" not in made] == []


def test_changelog_names_the_version_when_it_is_released() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
