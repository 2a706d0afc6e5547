"""Names and ends of archives that were read wrongly, or that lost files in silence."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from dreamlab.data.imageset import DataError
from tests.import_helpers import class_files, folder_of, zip_of
from tests.test_layouts import _tar, read


@pytest.mark.parametrize(
    "form", ["./{}", "top\\{}", "top/sub\\{}"], ids=["a dot first", "backslashes", "both"]
)
def test_folders_in_a_zip_are_found(tmp_path: Path, form: str) -> None:
    files = class_files()
    slash = "\\" if "\\" in form else "/"
    named = {form.format(name.replace("/", slash)): data for name, data in files.items()}
    found = read(zip_of(tmp_path / "s.zip", named))
    assert found.classes == ("cat", "dog") and len(found.names) == 10 and found.doubts == ()


def test_a_class_with_a_colon_is_kept(tmp_path: Path) -> None:
    found = read(zip_of(tmp_path / "s.zip", class_files(("10:30", "11:30"))))
    assert found.classes == ("10:30", "11:30") and len(found.names) == 10


def test_a_tar_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    whole = _tar(tmp_path / "s.tar", class_files(), "w")
    with tarfile.open(whole) as held:
        places = [member.offset for member in held]
    assert len(read(whole).names) == 10
    data = whole.read_bytes()
    for cut in (places[5], places[5] + 100, places[5] + 700):
        whole.write_bytes(data[:cut])
        with pytest.raises(DataError, match="files may be missing|cannot be read as a tar"):
            read(whole)


def test_a_source_without_pictures_says_what_was_left_out(tmp_path: Path) -> None:
    real = folder_of(tmp_path / "real", class_files())
    links = tmp_path / "links" / "cat"
    links.mkdir(parents=True)
    for file in (real / "cat").iterdir():
        (links / file.name).symlink_to(file)
    with pytest.raises(DataError, match="5 symbolic link that leaves the folder"):
        read(links.parent)
    inner = zip_of(tmp_path / "inner.zip", class_files()).read_bytes()
    with pytest.raises(DataError, match="1 archive inside the archive"):
        read(zip_of(tmp_path / "outer.zip", {"inner.zip": inner}))
