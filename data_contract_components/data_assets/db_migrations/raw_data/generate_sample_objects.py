# ruff: noqa: RUF001 -- dashes and multiplication signs are those of the museum
"""Writes `objects.json`: made-up records in the shape of the museum's API, so that there is something to load.

No work, artist, donor or address in it is real; `get_data_subset_from_met_api.py` fetches real records.
`sample_vocabulary.json` has the words: of each department the number of its records among 2,847 real ones on view in
July 2024, and how many percent of these are in the public domain, have more images, tags, an artist, a place; the eras,
kinds of work and people of each department; an asterisk marks a woman's name.
"""

import argparse
import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from data_contract_components.command import command

OBJECTS_PATH = Path(__file__).with_name("objects.json")
RECORD_COUNT = 3000
FIRST_OBJECT_ID = 9_000_001
REPOSITORY = "Sample record, made up; not an object of The Metropolitan Museum of Art"
SITE = "https://example.org"
IMAGE_SITE = "https://images.example.org"

Record = dict[str, Any]
Choice = TypeVar("Choice")

WORDS: dict[str, Any] = json.loads(Path(__file__).with_name("sample_vocabulary.json").read_text(encoding="utf-8"))
TAGS = {motif: tag for tag, motifs in WORDS["motifs"].items() for motif in motifs}
# Half of the museum's records changed at the same few times.
METADATA_DATES = 20 * ["2025-03-09T04:46:51.34Z", "2025-09-16T04:54:53.55Z"]
METADATA_DATES += ["2025-09-17T04:55:02.5Z", "2025-10-01T04:55:07Z"]


class Dice:
    """Choices that are the same in every version of Python and on every platform.

    Source: Python Library Reference, random, "Notes on Reproducibility": only random() is promised to stay.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, first: int, last: int) -> int:
        return first + int(self._random.random() * (last - first + 1))

    def pick(self, choices: Sequence[Choice]) -> Choice:
        return choices[self.number(0, len(choices) - 1)]

    def happens(self, percent: float) -> bool:
        return self._random.random() * 100 < percent


class Artist(NamedTuple):
    number: int
    name: str
    sort_name: str
    gender: str
    nation: str
    town: str
    born: int
    died: int


def make_sample_objects() -> list[Record]:
    """RECORD_COUNT records with the keys of the API in its order, the same on every call.

    Shape: objectID consecutive from FIRST_OBJECT_ID; departments mixed, in the proportions of the real records.
    """
    dice = Dice(FIRST_OBJECT_ID)
    artists = [_make_artists(position) for position in range(len(WORDS["eras"]))]
    departments = [department for department in WORDS["departments"] for _ in range(department["records"])]
    # The step and the number of departments have no common divisor, so each comes once before one comes again.
    chosen = (departments[number * 1009 % len(departments)] for number in range(RECORD_COUNT))
    return [_make_record(dice, object_id, row, artists) for object_id, row in enumerate(chosen, FIRST_OBJECT_ID)]


def _make_artists(position: int) -> list[Artist]:
    """The artists of an era, who lived in it: women from 1850, and before 1200 only painters of vases."""
    era = WORDS["eras"][position]
    nation, is_greek = era["people"], era["departments"] == ["gr"]
    people, (first, last) = WORDS["people"][nation], era["years"]
    start = 5 * [earlier["people"] for earlier in WORDS["eras"][:position]].count(nation)
    artists = []
    for number in range(start, start + 5):
        given, family, town = (names[number % len(names)] for names in people.values())
        born = first - 10 + number * 29 % (last - first - 20)
        gender = "Female" if "*" in given else ""
        if not is_greek and (born < 1200 or (gender and born <= 1850)):
            continue
        name = f"Painter of {list(TAGS)[number]}" if is_greek else f"{given} {family}".rstrip().replace("*", "")
        sort_name = f"{family}, {given}".replace("*", "") if family else name
        artist_number, died = 910_001 + 10 * position + number % 5, born + 40 + 7 * number % 40
        artists.append(Artist(artist_number, name, sort_name, gender, nation, town, born, died))
    return artists


def _make_record(dice: Dice, object_id: int, department: dict[str, Any], artists: list[list[Artist]]) -> Record:
    code = department["code"]
    position, era = dice.pick([(n, era) for n, era in enumerate(WORDS["eras"]) if code in era["departments"]])
    kind = dice.pick([kind for kind in WORDS["kinds"] if code in kind["departments"]])
    is_known = bool(artists[position]) and dice.happens(department["artist_percent"])
    artist = dice.pick(artists[position]) if is_known else None
    first, last = era["years"]
    if artist and code != "gr":
        first, last = max(first, artist.born + 20), min(last, artist.died)
    date, begin, end = _make_date(dice, first, last, "B.C." if code == "eg" else "BCE", is_known=is_known)
    year = dice.number(max(1874, end), 2024)
    name = dice.pick(kind["names"])
    title, tags = _make_title_and_tags(dice, kind["form"], name, era["people"])
    dimensions, measurements = _make_dimensions(dice, kind["form"], is_metric_first=code == "eg")
    size_luck = dice.number(1, 100)
    record: Record = dict.fromkeys(WORDS["keys"], "")
    record |= {"constituents": None, "additionalImages": [], "repository": REPOSITORY}
    record |= {"objectID": object_id, "objectURL": f"{SITE}/objects/{object_id}", "department": department["name"]}
    record |= {"isHighlight": dice.happens(8.5), "isTimelineWork": dice.happens(23)}
    # None of the real records has a number as high as 9,001 behind the year.
    record["accessionNumber"] = f"{year if year > 1969 else f'{year % 100:02}'}.{dice.number(9001, 9999)}"
    parts = [f".{dice.number(1, 300)}", f".{dice.number(1, 300)}"]
    record["accessionNumber"] += dice.pick(9 * ["", *parts] + ["a, b", "a–c"])
    record["accessionYear"] = str(year) if dice.happens(99.5) else ""
    record |= {"objectName": name, "medium": dice.pick(kind["media"]), "classification": kind["classification"]}
    odd_titles = WORDS["odd_titles"]
    record["title"] = title if object_id % 60 else odd_titles[object_id // 60 % len(odd_titles)]
    record |= {key: era[key] for key in ("culture", "period", "dynasty", "reign")}
    record |= {"objectDate": date if dice.happens(98.4) else "", "objectBeginDate": begin, "objectEndDate": end}
    record["dimensions"] = dimensions if size_luck < 100 else ""
    record["measurements"] = measurements if size_luck < 96 else None
    record["creditLine"] = dice.pick(WORDS["credits"]).format(donor=_pick_person(dice, "American")[0], year=year)
    record["metadataDate"] = _make_metadata_date(dice)
    record["tags"] = tags if dice.happens(department["tags_percent"]) else None
    record["objectWikidata_URL"] = f"{SITE}/wiki/Q{object_id}" if dice.happens(93.7) else ""
    gallery = f"{dice.number(*department['galleries']):03}"
    record["GalleryNumber"] = dice.pick(WORDS["odd_galleries"]) if dice.happens(0.4) else gallery
    record["isPublicDomain"] = dice.happens(department["public_domain_percent"])
    if record["isPublicDomain"]:
        more_percent = 100 * department["more_images_percent"] / department["public_domain_percent"]
        record |= _make_images(dice, f"{code}/original/S{object_id}", more_percent)
    if dice.happens(department["place_percent"]):
        record["geographyType"] = dice.pick(department["place_types"])
        record |= dice.pick([{"country": era["place"]["country"]}, era["place"]])
    if artist:
        colleague, role = dice.pick(artists[position]), dice.pick(department["artist_roles"])
        record |= _make_artist_fields(dice, artist, colleague, role)
    if artist and code == "mc" and dice.happens(40):
        record["rightsAndReproduction"] = f"© 2024 Estate of {artist.name} / Sample Rights Society"
    return record


def _pick_person(dice: Dice, nation: str) -> tuple[str, str]:
    """A name, and the tag of a picture of that person."""
    people = WORDS["people"][nation]
    given = dice.pick(people["given_names"])
    name = f"{given} {dice.pick(people['family_names'])}".replace("*", "").rstrip()
    return name, "Women" if "*" in given else "Men"


def _make_date(dice: Dice, first: int, last: int, before: str, *, is_known: bool) -> tuple[str, int, int]:
    """In words, the first year and the last; where the artist is known, years and not centuries."""
    begin = end = dice.number(first, last) or 1
    style = dice.number(0, 2 if is_known else 4)
    if style < 2:
        margin = 5 * style
        return "ca. " * style + _render_years(begin, end, before), begin - margin or -1, end + margin or 1
    if style == 2:
        end = min(begin + dice.number(1, 20), last) or 1
        return _render_years(begin, end, before), begin, end
    if style == 3 and last - first < 300:
        return "ca. " + _render_years(first, last, before), first, last
    century = (abs(begin) - (begin < 0)) // 100
    ending = {0: "st", 1: "nd", 2: "rd", 20: "st"}.get(century, "th")
    begin, end = (-100 * century - 99, -100 * century or -1) if begin < 0 else (100 * century or 1, 100 * century + 99)
    return _add_era(f"{century + 1}{ending} century", end, before), begin, end


def _render_years(begin: int, end: int, before: str) -> str:
    if begin < 0 < end:
        return f"{-begin} {before}–{end} CE"
    if begin == end:
        return _add_era(str(abs(end)), end, before)
    is_short = begin > 1000 and begin // 100 == end // 100
    return _add_era(f"{abs(begin)}–{f'{end % 100:02}' if is_short else abs(end)}", end, before)


def _add_era(text: str, end: int, before: str) -> str:
    return f"{text} {before}" if end < 0 else f"{text} CE" if end < 500 else text


def _make_title_and_tags(dice: Dice, form: str, name: str, nation: str) -> tuple[str, list[Record]]:
    template = dice.pick(WORDS["picture_titles" if form == "flat" else "thing_titles"])
    (motif, tag), (other, other_tag) = dice.pick(list(TAGS.items())), dice.pick(list(TAGS.items()))
    (person, person_tag), town = _pick_person(dice, nation), dice.pick(WORDS["people"][nation]["towns"])
    title = template.format(name=name, motif=motif, other=other, person=person, town=town)
    slots = {"{motif}": tag, "{other}": other_tag, "{person}": person_tag}
    terms = [term for slot, term in slots.items() if slot in template]
    while dice.happens(20):
        terms.append(TAGS[dice.pick(list(TAGS))])
    return title[0].upper() + title[1:], [_make_tag(term) for term in dict.fromkeys(terms)]


def _make_tag(term: str) -> Record:
    number = 900_001 + list(TAGS.values()).index(term)
    # The museum's thesauri do not have every word.
    aat_url = f"{SITE}/aat/{number}" if term != "Moon" else None
    return {"term": term, "AAT_URL": aat_url, "Wikidata_URL": f"{SITE}/wiki/Q{number}" if number % 9 else None}


def _make_dimensions(dice: Dice, form: str, *, is_metric_first: bool) -> tuple[str, list[Record]]:
    """Inches and centimetres in words, and the same centimetres as numbers; some works have two parts, one per line."""
    axes = WORDS["forms"][form]["axes"]
    parts = ["Overall", "Frame" if form == "flat" else "Base"] if dice.happens(13.5) else ["Overall"]
    lines, measurements = [], []
    for part in parts:
        sizes = [dice.number(*WORDS["forms"][form]["sixteenths_of_an_inch"]) for _ in axes]
        # A sixteenth of an inch is 254/160 mm; in whole numbers nothing depends on how a platform rounds.
        millimetres = [(size * 254 + 80) // 160 for size in sizes]
        centimetres = [size / 10 if size % 10 else size // 10 for size in millimetres]
        letters = ["" if form == "flat" else "Diam. " if axis == "Diameter" else f"{axis[0]}. " for axis in axes]
        cross = dice.pick([" x ", " × "])
        inches = cross.join(map(str.__add__, letters, map(_render_inches, sizes))) + " in."
        metric = cross.join(map(str, centimetres)) + " cm"
        line = f"{metric} ({inches})" if is_metric_first else f"{inches} ({metric})"
        lines.append(f"{part}: {line}" if len(parts) > 1 else line)
        description = "confirmed" if dice.happens(2) else None
        sides = dict(sorted(zip(axes, centimetres, strict=True)))
        measurements.append({"elementName": part, "elementDescription": description, "elementMeasurements": sides})
    return ("\r" if dice.happens(1) else "\r\n").join(lines), measurements


def _render_inches(sixteenths: int) -> str:
    whole, rest = divmod(sixteenths, 16)
    divisor = math.gcd(rest, 16)
    return f"{whole or ''} {f'{rest // divisor}/{16 // divisor}' if rest else ''}".strip()


def _make_images(dice: Dice, stem: str, more_percent: float) -> Record:
    count = 0
    if dice.happens(more_percent):
        count = dice.number(51, 200) if dice.happens(0.6) else 1
        while dice.happens(66):
            count += 1
    stem += " détail " if dice.happens(2) else "-"
    primary, *additional = (f"{IMAGE_SITE}/{stem}{number:03}.jpg" for number in range(count + 1))
    if dice.happens(0.1):  # a few are missing all the same
        primary = ""
    small = primary.replace("/original/", "/web-large/")
    return {"primaryImage": primary, "primaryImageSmall": small, "additionalImages": additional}


def _make_artist_fields(dice: Dice, artist: Artist, colleague: Artist, role: str) -> Record:
    """The fields of the first artist, who is also the first of `constituents`; sometimes a colleague is the second."""
    is_painter_of_vases = artist.born < 1200
    prefix = dice.pick(["Attributed to", "Workshop of", "After a model by"]) if dice.happens(12) else ""
    prefix = "Attributed to the" if is_painter_of_vases else prefix
    constituents = [_make_constituent(artist, role, prefix)]
    if dice.happens(15) and colleague is not artist:
        constituents.append(_make_constituent(colleague, dice.pick(["Founder", "Manufacturer", "Publisher"]), ""))
    fields = {
        "artistRole": role,
        "artistPrefix": prefix,
        "artistDisplayName": artist.name,
        "artistSuffix": "and Workshop" if dice.happens(2) else "",
        "artistAlphaSort": artist.sort_name,
        "artistGender": artist.gender,
        "artistWikidata_URL": constituents[0]["constituentWikidata_URL"],
        "artistULAN_URL": constituents[0]["constituentULAN_URL"],
        "constituents": constituents,
    }
    if not is_painter_of_vases:
        is_dead = artist.died < 2024
        life = f"{artist.town} {artist.born}–{artist.died}" if is_dead else f"born {artist.town}, {artist.born}"
        fields |= {"artistDisplayBio": f"{artist.nation}, {life}", "artistNationality": artist.nation}
        fields |= {"artistBeginDate": str(artist.born), "artistEndDate": str(artist.died) if is_dead else "9999"}
    return fields


def _make_constituent(artist: Artist, role: str, prefix: str) -> Record:
    # Not everyone has an entry everywhere.
    unknown = "" if artist.number % 4 else "(not assigned)"
    return {
        "constituentID": artist.number,
        "role": role,
        "name": f"{prefix} {artist.name}".strip(),
        "constituentULAN_URL": f"{SITE}/ulan/{artist.number}" if artist.number % 6 else unknown,
        "constituentWikidata_URL": f"{SITE}/wiki/Q{artist.number}" if artist.number % 7 else "",
        "gender": artist.gender,
    }


def _make_metadata_date(dice: Dice) -> str:
    """In UTC with 0 to 3 decimals, as the museum leaves off zeros."""
    if dice.happens(50):
        return dice.pick(METADATA_DATES)
    day = f"{dice.number(2023, 2025)}-{dice.number(1, 12):02}-{dice.number(1, 28):02}"
    seconds = f"{dice.number(0, 59):02}.{dice.number(0, 999):03}".rstrip("0").rstrip(".")
    return f"{day}T04:{dice.number(40, 59)}:{seconds}Z"


@command("the file is incomplete")
def main(argv: Sequence[str] | None = None) -> int:
    """0; the file at `--out` has the records, one per line."""
    parser = argparse.ArgumentParser(description="Write the made-up sample records.")
    parser.add_argument("--out", type=Path, default=OBJECTS_PATH, help="the file to write (default: %(default)s)")
    path: Path = parser.parse_args(argv).out
    # Without blanks, as the keys alone take 1 kB per record.
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in make_sample_objects())
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
