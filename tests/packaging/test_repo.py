# SPDX-License-Identifier: Apache-2.0
"""The repository's own rules: licences, bounds, sizes, no secrets, no paths of one machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.tree

ROOT = Path(__file__).resolve().parents[2]
SOURCE_SUFFIXES = {".py", ".c", ".h", ".sh"}
LONGEST_FILE = 400
LONGEST_TEST = 600
LONGEST_BPF_FUNCTION = 60
# name -> why it may be longer
LONG_FILES = {
    "kernel/parse.h": "the one walk through all headers: split by layer, its order could no longer be read",
    "native/native.h": "the contract between the native core and Python, from which the cdef is made: one place",
    "kernel/match.h": "every target kind's lookup, in the order in which a packet meets them",
}
LONG_FUNCTIONS: dict[str, str] = {}


def tracked() -> list[Path]:
    """The files under version control; without git (a tarball), the files of the known folders."""
    done = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == 0:
        files = [ROOT / name for name in done.stdout.split("\0") if name]
    else:
        rooms = ("kernel", "native", "lictl", "tests", "bench", "tools", "docs", ".ci")
        files = [f for room in rooms for f in (ROOT / room).rglob("*")] + list(ROOT.glob("*.*"))
    return [f for f in files if f.is_file() and not f.is_symlink()]


def texts() -> dict[str, str]:
    """Name and content of each tracked text file."""
    found = {}
    for file in tracked():
        try:
            found[str(file.relative_to(ROOT))] = file.read_text()
        except UnicodeDecodeError:
            continue
    return found


def sources() -> dict[str, str]:
    """Tracked program text, scripts without a suffix included."""
    return {
        name: text
        for name, text in texts().items()
        if Path(name).suffix in SOURCE_SUFFIXES or text.startswith("#!") or name in ("Makefile", "Vagrantfile")
    }


def c_functions(text: str) -> dict[str, int]:
    """Name and length in lines of each function body that opens with `{` in the first column."""
    lines = text.splitlines()
    found = {}
    for number, line in enumerate(lines):
        if line != "{":
            continue
        head = number
        while head and lines[head - 1].strip() and not lines[head - 1].startswith(("}", "#", " *", "/*")):
            head -= 1
        signature = " ".join(lines[head:number])
        name = re.search(r"(\w+)\s*\(", signature.split(" BPF_PROG(")[-1])
        end = lines.index("}", number)
        found[name[1] if name else signature] = end - number - 1
    return found


def test_program_text_names_its_licence() -> None:
    """Each source file has an SPDX line at its top; BPF programs are dual licensed, the rest is Apache-2.0."""
    wrong = []
    for name, text in sources().items():
        match = re.search(r"SPDX-License-Identifier: (.+?)(?: \*/)?$", "\n".join(text.splitlines()[:3]), re.MULTILINE)
        expected = "(BSD-2-Clause OR GPL-2.0-only)" if re.search(r"^kernel/|\.bpf\.c$", name) else "Apache-2.0"
        if text.strip() and (match is None or match[1] != expected):
            wrong.append(f"{name}: {match[1] if match else 'none'}")
    assert wrong == []


def test_dependencies_have_upper_bounds() -> None:
    """A new major release of a dependency cannot reach an operator before it was tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
    ]
    requirements = [r for group in groups for r in group]
    assert requirements
    assert [r for r in requirements if not re.search(r">=\d.*,<\d", r)] == []


def test_no_secrets_in_the_repository() -> None:
    """No private key, token or password assignment is tracked."""
    begin = "-----BEGIN "
    patterns = [
        re.compile(begin + r"(?:\w+ )?PRIVATE KEY-----"),
        re.compile(r"\b(?:ghp|gho|ghs|github_pat|glpat|xox[abp])[_-]\w{16,}"),
        re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
        re.compile(r"(?i)\b(?:password|passwd|secret|api_key)\s*=\s*[\"'][^\"'\s]{6,}[\"']"),
    ]
    assert [name for name, text in texts().items() if any(p.search(text) for p in patterns)] == []


def test_no_paths_of_one_machine() -> None:
    """Nothing in the repository works on its author's machine only."""
    path = re.compile(r"(?<![\w.$}/-])/(?:work|root|home/\w+)/")
    assert [name for name, text in texts().items() if path.search(text)] == []


def test_no_large_or_generated_files() -> None:
    """Generated objects and large files stay out of version control."""
    generated = {".o", ".so", ".whl", ".pyc", ".db"}
    wrong = [str(f.relative_to(ROOT)) for f in tracked() if f.suffix in generated or f.stat().st_size > 1 << 20]
    assert wrong == []


def test_files_are_small() -> None:
    """A source file does one thing in at most 400 lines (a test file in 600), unless it says above why not."""
    long = {
        name: length
        for name, text in sources().items()
        if (length := len(text.splitlines()))
        > (LONGEST_TEST if name.startswith(("tests/", "bench/")) else LONGEST_FILE)
    }
    assert {name: length for name, length in long.items() if name not in LONG_FILES} == {}
    assert [name for name in LONG_FILES if name not in long] == [], "an exception that is no longer needed"


def test_bpf_functions_are_small() -> None:
    """A function of the capture program can be read on one screen: at most 60 lines."""
    functions = {
        f"{name}:{function}": length
        for name, text in sources().items()
        if name.startswith("kernel/")
        for function, length in c_functions(text).items()
    }
    long = {n: size for n, size in functions.items() if size > LONGEST_BPF_FUNCTION}
    assert {n: size for n, size in long.items() if n not in LONG_FUNCTIONS} == {}
    assert functions, "the sizes were really looked at"


def test_the_function_measure_counts_lines() -> None:
    """The measure finds a function and its length, also where its head runs over two lines."""
    text = "static int f(int a,\n\t     int b)\n{\n" + "\tx();\n" * 7 + "}\n\nint g(void)\n{\n\treturn 0;\n}\n"
    assert c_functions(text) == {"f": 7, "g": 1}


def test_packages_are_listed_in_one_place() -> None:
    """packages.txt is the only list of Debian packages: one name a line, none twice, all well formed."""
    lines = [re.sub(r"#.*", "", line).strip() for line in (ROOT / "packages.txt").read_text().splitlines()]
    names = [line for line in lines if line]
    assert len(names) == len(set(names))
    assert [n for n in names if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", n)] == []
    for file in ("Makefile", "Vagrantfile", "tools/install-packages"):
        apt_lines = [line for line in (ROOT / file).read_text().splitlines() if "apt-get" in line]
        named = [
            n for n in names if any(re.search(rf"(?<![\w./-]){re.escape(n)}(?![\w.-])", line) for line in apt_lines)
        ]
        assert named == [], f"{file} names packages of its own"


def test_ci_runs_the_whole_check() -> None:
    """CI is `make test`, without questions and without input."""
    script = (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert "set -euo pipefail" in script
    assert "DEBIAN_FRONTEND=noninteractive" in script
    assert re.search(r"^make test </dev/null", script, re.MULTILINE)


@pytest.mark.parametrize("name", ["LICENSE", "kernel/LICENSE"])
def test_licence_texts_are_whole(name: str) -> None:
    """The licence files hold the texts that the SPDX lines name."""
    text = (ROOT / name).read_text()
    wanted = {"LICENSE": ["Apache License", "END OF TERMS"], "kernel/LICENSE": ["BSD 2-Clause", "GNU GENERAL PUBLIC"]}
    assert all(part in text for part in wanted[name])


def test_data_files_reach_the_wheel() -> None:
    """Whatever lies beside the modules (tables, schemas) is package data, or pip would leave it out."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    declared = {
        f for package, names in data.items() for name in names for f in (ROOT / package.replace(".", "/")).glob(name)
    }
    files = {f for f in tracked() if f.is_relative_to(ROOT / "lictl") and f.suffix != ".py"}
    assert files - declared == set()
