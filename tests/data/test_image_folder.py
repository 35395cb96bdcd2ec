"""ImageFolder: classes from folders and archives, broken images refused by name."""

import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import backlit as bl
from backlit.data import DataLoader, ImageFolder, transforms
from backlit.errors import DataError

RED, BLUE = (200, 0, 0), (0, 0, 200)


def write_images(root):
    for place, colour in (("cat/2.png", RED), ("cat/1.bmp", BLUE), ("dog/deep/3.png", BLUE)):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), colour).save(path)
    (root / "cat" / "notes.txt").write_text("not an image")
    return root


def pack(folder, path, mode, top):
    with tarfile.open(path, mode) as archive:
        for child in sorted(folder.iterdir()):
            archive.add(child, f"{top}{child.name}")
    return path


def check(data):
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    assert data.targets == [0, 0, 1] and len(data) == 3
    assert [label for _, label in data.samples] == data.targets and data.imgs is data.samples
    assert [data[i][0].getpixel((0, 0)) for i in range(3)] == [BLUE, RED, BLUE]
    assert all(data[i][0].mode == "RGB" for i in range(3))


def test_folder(tmp_path):
    data = ImageFolder(write_images(tmp_path / "pets"))
    check(data)
    assert data.samples[0][0].endswith("1.bmp")


@pytest.mark.parametrize("top", ["", "pets/", "./"])
@pytest.mark.parametrize(("ending", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
def test_archive(tmp_path, top, ending, mode):
    path = pack(write_images(tmp_path / "pets"), tmp_path / f"a{ending}", mode, top)
    data = ImageFolder(str(path))
    check(data)
    check(pickle.loads(pickle.dumps(data)))


def test_url(tmp_path, monkeypatch):
    path = pack(write_images(tmp_path / "pets"), tmp_path / "pets.tar", "w", "pets/")
    monkeypatch.setattr(bl.config.flags, "data", str(tmp_path / "cache"))
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    check(ImageFolder(path.as_uri(), sha256=checksum))
    with pytest.raises(ValueError, match="needs sha256"):
        ImageFolder(path.as_uri())


def test_transforms_make_batches(tmp_path):
    data = ImageFolder(
        write_images(tmp_path), transform=transforms.ToTensor(), target_transform=lambda y: y + 1
    )
    x, y = next(iter(DataLoader(data, batch_size=3)))
    assert tuple(x.shape) == (3, 3, 3, 4) and y.tolist() == [1, 1, 2]


def test_own_loader_and_own_choice_of_files(tmp_path):
    root = write_images(tmp_path)
    data = ImageFolder(root, loader=len, is_valid_file=lambda p: p.endswith((".txt", "3.png")))
    assert [name.rsplit("/", 1)[1] for name, _ in data.samples] == ["notes.txt", "3.png"]
    assert data[0] == (len(data.samples[0][0]), 0)
    path = pack(root, tmp_path / "a.tar", "w", "")
    with pytest.raises(ValueError, match="loader"):
        ImageFolder(path, loader=len)


def test_places_without_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="neither a folder nor"):
        ImageFolder(tmp_path / "nothing")
    with pytest.raises(DataError, match="no class folders"):
        ImageFolder(tmp_path)
    write_images(tmp_path)
    (tmp_path / "bird").mkdir()
    with pytest.raises(DataError, match="no images for the classes bird"):
        ImageFolder(tmp_path)
    assert ImageFolder(tmp_path, allow_empty=True).targets == [1, 1, 2]


def png_bytes():
    noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "png")
    return stream.getvalue(), noise


@pytest.mark.parametrize("content", [b"", b"not an image at all", png_bytes()[0][:90]],
                         ids=["empty", "text", "cut"])  # fmt: skip
def test_a_broken_image_is_refused_by_name(tmp_path, content):
    root = write_images(tmp_path / "pets")
    (root / "dog" / "broken.png").write_bytes(content)
    data = ImageFolder(root)
    at = next(i for i, (name, _) in enumerate(data.samples) if name.endswith("broken.png"))
    with pytest.raises(DataError, match=r"dog/broken\.png: broken image"):
        data[at]
    packed = ImageFolder(pack(root, tmp_path / "a.tar.gz", "w:gz", ""))
    with pytest.raises(DataError, match=r"a\.tar\.gz:dog/broken\.png: broken image"):
        packed[at]


def test_a_picture_of_absurd_size_is_refused(tmp_path, monkeypatch):
    root = write_images(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with pytest.raises(DataError, match=r"1\.bmp: broken image"):
        ImageFolder(root)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 2**20), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_png_is_refused_or_the_same_picture(folder, position, flip, cut):
    whole, noise = png_bytes()
    damaged = bytearray(whole)
    damaged[position % len(whole)] ^= flip
    (folder / "one").mkdir(exist_ok=True)
    (folder / "one" / "1.png").write_bytes(whole[: position % len(whole)] if cut else damaged)
    try:
        image, _ = ImageFolder(folder)[0]
    except DataError as error:
        assert "1.png" in str(error)
    else:
        assert cut is False or position % len(whole) > 0
        np.testing.assert_array_equal(np.asarray(image), noise)


@settings(max_examples=100, deadline=None)
@given(length=st.integers(0, 2**20))
def test_a_truncated_archive_is_refused(folder, length):
    path = folder / "short.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("a/1.png", "b/2.png"):
            member = tarfile.TarInfo(name)
            member.size = len(png_bytes()[0])
            archive.addfile(member, io.BytesIO(png_bytes()[0]))
        end = archive.offset
    whole = path.read_bytes()
    path.write_bytes(whole[: length % end])
    with pytest.raises(DataError, match=r"short\.tar"):
        ImageFolder(path)


def test_an_archive_that_shrinks_later_is_noticed(tmp_path):
    path = pack(write_images(tmp_path / "pets"), tmp_path / "a.tar", "w", "")
    data = ImageFolder(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match=r"a\.tar:dog.*truncated"):
        data[2]


def test_members_that_leave_the_folder_are_refused(tmp_path):
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("../up/1.png")
        archive.addfile(member, io.BytesIO())
    with pytest.raises(DataError, match=r"member '\.\./up/1\.png' leaves the folder"):
        ImageFolder(path)
