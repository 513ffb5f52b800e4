"""Checks that relative links of the Markdown pages lead somewhere."""
import pathlib
import re
import subprocess
import sys

pages = subprocess.run(["git", "ls-files", "*.md"], capture_output=True, text=True, check=True).stdout.split()
broken = []
for page in map(pathlib.Path, pages):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        if not (page.parent / target.split("#")[0]).exists():
            broken.append(f"{page}: {target}")
print(f"{len(pages)} pages, {len(broken)} broken links")
sys.exit("\n".join(broken) if broken else 0)
