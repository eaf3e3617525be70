"""Where the browser tests get their browser: a Chromium of the system, else the one inside an npm package."""

import fcntl
import io
import json
import os
import platform
import shutil
import tarfile
from pathlib import Path
from xml.sax.saxutils import escape

import brotli

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "node_modules" / "@sparticuz" / "chromium"
SYSTEM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHUNK = 1 << 22


def chromium_executable() -> tuple[str, dict[str, str]]:
    """Path of a Chromium and the environment it needs. CHROMIUM names one, or says `bundled`. Raises RuntimeError."""
    wanted = os.environ.get("CHROMIUM", "")
    if wanted and wanted != "bundled":
        return wanted, dict(os.environ)
    if not wanted:
        for name in SYSTEM:
            if found := shutil.which(name):
                return found, dict(os.environ)
    return _bundled()


def _bundled() -> tuple[str, dict[str, str]]:
    if platform.machine() != "x86_64":
        raise RuntimeError(f"no Chromium found, and none comes for {platform.machine()}: install chromium")
    try:
        version = json.loads((PACKAGE / "package.json").read_text())["version"]
    except OSError:
        raise RuntimeError("no Chromium found: run `make setup-dev`, or install chromium") from None
    folder = ROOT / ".cache" / f"chromium-{version}"
    folder.parent.mkdir(exist_ok=True)
    with (ROOT / ".cache" / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes start side by side
        if not folder.exists():
            _unpack(folder)
    libraries = [str(path) for path in (folder / "al2023" / "lib", folder) if path.exists()]
    env = dict(os.environ) | {
        "LD_LIBRARY_PATH": ":".join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(":")
    }
    if not Path("/etc/fonts/fonts.conf").exists():
        env["FONTCONFIG_FILE"] = str(folder / "fonts.conf")
    return str(folder / "chromium"), env


def _unpack(folder: Path) -> None:
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    program = new / "chromium"
    decoder = brotli.Decompressor()
    with (PACKAGE / "bin" / "chromium.br").open("rb") as packed, program.open("wb") as unpacked:
        while chunk := packed.read(CHUNK):
            unpacked.write(decoder.process(chunk))
    program.chmod(0o755)
    for name, place in (("al2023", new / "al2023"), ("fonts", new), ("swiftshader", new)):
        content = brotli.decompress((PACKAGE / "bin" / f"{name}.tar.br").read_bytes())
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            # Python 3.11.0 to 3.11.3 have no filters; the archives are the package's, whose hash npm checked.
            archive.extractall(place, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    # The package's own file names folders outside this project.
    cache, fonts = escape(str(folder / "fonts-cache")), escape(str(folder / "fonts"))
    (new / "fonts.conf").write_text(
        f"<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>\n"
    )
    new.rename(folder)
