"""Faults of reading images, of the cache of prepared sets, and of the checks of memory; see `tests/faults.py`."""

from tests.faults_of_numbers import DATA, fault

PICTURES, PREPARED = DATA + "pictures.py", DATA + "prepared.py"
TRACKER = "pawjax/inference/tracker.py"

FAULTS = (
    fault(
        "EXIF orientations are ignored",
        "tests/data/test_pictures.py -k exif",
        (PICTURES, "if _orientation(image) in range(2, 9):", "if False:"),
    ),
    fault(
        "16-bit colour loses its lower byte without a word",
        "tests/data/test_picture_faults.py -k 16",
        (PICTURES, 'if image.mode not in DEPTHS and ";16" in str(image.tile):', "if False:"),
    ),
    fault(
        "transparent pixels are not mentioned",
        "tests/data/test_pictures.py -k transparent",
        (PICTURES, ".getextrema()[3][0] < 255", ".getextrema()[3][0] < 0"),
    ),
    fault(
        "alpha is blended",
        "tests/data/test_pictures.py -k opencv",
        (
            PICTURES,
            'image.convert("L" if channels == 1 else "RGB")',
            'image.convert("RGBa").convert("RGBA").convert("RGB")',
        ),
    ),
    fault(
        "the range is that of the first image",
        "tests/data/test_pictures.py -k range",
        (PICTURES, "max(values, key=lambda frame: values[frame][2])", "next(iter(values))"),
    ),
    fault(
        "16-bit values are truncated",
        "tests/data/test_pictures.py -k deep",
        (PICTURES, "np.rint(np.clip(", "np.floor(np.clip("),
    ),
    fault(
        "unsigned 32-bit values are read as signed",
        "tests/data/test_pictures.py -k unsigned",
        (PICTURES, "pixels.view(np.uint32) if unsigned else pixels", "pixels"),
    ),
    fault(
        "the tracker maps 16-bit images by their own range",
        "tests/inference/test_value_range.py",
        (TRACKER, "to_uint8(images, value_range)", "to_uint8(images, (images.min(), images.max()))"),
    ),
    fault(
        "a file in another case is not found",
        "tests/data/test_picture_faults.py -k likely",
        (DATA + "picture_faults.py", "file.stem.casefold() == path.stem.casefold()", "file.stem == path.stem"),
    ),
    fault(
        "changed records are trusted",
        "tests/data/test_prepared.py -k damage",
        (PREPARED, "if _hash(folder / name) != expected:", "if not _hash(folder / name):"),
    ),
    fault(
        "killed preparations stay",
        "tests/data/test_prepared.py -k killed",
        (PREPARED, "abandoned = _is_locked(parent) or ", "abandoned = "),
    ),
    fault(
        "another set's preparation is swept while it is made",
        "tests/data/test_prepared.py -k progress",
        (PREPARED, "lock(parent / LOCK, wait=False):  #", "lock(parent / 'x', wait=False):  #"),
        (PREPARED, "abandoned = _is_locked(parent) or ", "abandoned = True or "),
    ),
    fault(
        "without locks, a set being made is swept",
        "tests/data/test_prepared.py -k without_locks",
        (PREPARED, "abandoned = _is_locked(parent) or ", "abandoned = True or "),
    ),
    fault(
        "a full disk is a RuntimeError",
        "tests/data/test_sources.py -k writer_of_records",
        (DATA + "builders.py", "if os.strerror(number) in str(error)", "if False"),
    ),
    fault(
        "padding is allocated unseen",
        "tests/data/test_sources.py -k padding",
        (DATA + "sources.py", "        _need_memory(root, table, pictures)\n", ""),
    ),
    fault(
        "limits of containers count at the innermost group only",
        "tests/test_machine.py",
        ("pawjax/machine.py", "[folder, *folder.parents][: len(folder.parts) - len(mount.parts) + 1]", "[folder]"),
    ),
    fault(
        "cached files count as used memory",
        "tests/test_machine.py",
        ("pawjax/machine.py", 'stat.get("inactive_file", 0)', "0"),
    ),
)
