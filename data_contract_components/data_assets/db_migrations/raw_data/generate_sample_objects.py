# ruff: noqa: RUF001 -- dashes, quotation marks and multiplication signs are those of the museum
"""Made-up records in the shape of the museum's API, so that there is something to load: writes `objects.json`.

No work, artist, donor or address in it is real; `get_data_subset_from_met_api.py` fetches real records.
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


def _cells(text: str, mark: str | None = ";") -> list[str]:
    return [cell.strip() for cell in text.split(mark)]


def _rows(text: str) -> list[list[str]]:
    return [_cells(line, "|") for line in text.strip().splitlines()]


KEYS = _cells(
    """objectID isHighlight accessionNumber accessionYear isPublicDomain primaryImage primaryImageSmall
additionalImages constituents department objectName title culture period dynasty reign portfolio artistRole artistPrefix
artistDisplayName artistDisplayBio artistSuffix artistAlphaSort artistNationality artistBeginDate artistEndDate
artistGender artistWikidata_URL artistULAN_URL objectDate objectBeginDate objectEndDate medium dimensions measurements
creditLine geographyType city state county country region subregion locale locus excavation river classification
rightsAndReproduction linkResource metadataDate repository objectURL tags objectWikidata_URL isTimelineWork
GalleryNumber""",
    None,
)

# code | department | galleries | records in 2,847 real ones on view in July 2024 | and of 100 of these: in the public
# domain, with more images, with tags, with an artist, with a place | artist's role | kind of place
DEPARTMENTS = _rows("""
ep | European Paintings | 600-644 | 556 | 93 | 32 | 100 | 100 | 0 | Artist |
gr | Greek and Roman Art | 150-173 | 436 | 92 | 49 | 81 | 19 | 0 | Artist |
eg | Egyptian Art | 100-138 | 351 | 66 | 45 | 52 | 0 | 96 | Artist | From; From; From; Probably from
as | Asian Art | 200-253 | 306 | 98 | 62 | 81 | 9 | 0 | Artist |
es | European Sculpture and Decorative Arts | 500-556 | 274 | 98 | 74 | 80 | 78 | 0 | Maker; Artist; Modeler |
mc | Modern and Contemporary Art | 900-926 | 183 | 3 | 1 | 55 | 100 | 0 | Artist; Artist; Designer |
aw | The American Wing | 700-774 | 177 | 68 | 32 | 62 | 87 | 67 | Maker; Designer | Made in; Probably made in
aa | Arms and Armor | 370-380 | 129 | 84 | 64 | 28 | 36 | 98 | Armorer; Gunsmith | Country of Origin
is | Islamic Art | 450-464 | 128 | 98 | 90 | 75 | 35 | 98 | Author; Artist | Attributed to; Made in; Excavated in
me | Medieval Art | 300-307 | 116 | 99 | 93 | 75 | 3 | 60 | Artist | Made in
cl | The Cloisters | 1-20 | 78 | 99 | 79 | 91 | 10 | 60 | Artist | Made in
rl | Robert Lehman Collection | 950-965 | 61 | 93 | 82 | 95 | 82 | 0 | Artist |
mi | Musical Instruments | 680-684 | 24 | 79 | 67 | 17 | 79 | 90 | Maker | Made in
dp | Drawings and Prints | 690-692 | 14 | 93 | 29 | 79 | 100 | 0 | Artist; Publisher |
""")

# departments | people | culture | period | dynasty | reign | first year | last year
# | country / region / subregion / state / county / city / locale / locus / excavation
ERAS = _rows("""
ep es rl dp | French ||||| 1580 | 1890 |
ep es rl | Italian ||||| 1400 | 1780 |
ep es dp | Netherlandish ||||| 1430 | 1680 |
ep es | British ||||| 1680 | 1880 |
gr | Greek | Greek, Attic | Archaic ||| -600 | -480 |
gr | Greek | Greek, Attic | Classical ||| -480 | -400 |
gr | Greek | Cypriot | Archaic ||| -600 | -480 |
gr | Greek | Greek | Hellenistic ||| -323 | -31 |
gr | Greek | Minoan | Late Bronze Age ||| -1500 | -1050 |
gr | Greek | Roman | Imperial ||| -27 | 250 |
eg | Egyptian || New Kingdom | Dynasty 18 | reign of Thutmose III | -1479 | -1425 | Egypt/Upper Egypt, Thebes/Asasif
eg | Egyptian || New Kingdom | Dynasty 18 || -1550 | -1295 | Egypt/Upper Egypt, Thebes/Malqata////House//Sample dig 1911
eg | Egyptian || Middle Kingdom | Dynasty 12 | reign of Senwosret I | -1961 | -1917 | Egypt/Memphite Region/Lisht
eg | Egyptian || Third Intermediate Period | Dynasty 21–25 || -1070 | -664 | Egypt/Northern Upper Egypt/Abydos
eg | Egyptian || Late Period | Dynasty 26–30 || -664 | -332 | Egypt/Memphite Region/Saqqara////Cemetery/Pit 7/Sample dig
eg | Egyptian || Late Period–Ptolemaic Period ||| -664 | -30 | Egypt/Eastern Delta
as | Chinese | China | Western Zhou dynasty (1046–771 BCE) ||| -1046 | -771 |
as | Chinese | China | Tang dynasty (618–907) ||| 618 | 907 |
as | Chinese | China | Ming dynasty (1368–1644) ||| 1368 | 1644 |
as | Japanese | Japan | Edo period (1615–1868) ||| 1615 | 1868 |
as | Indian | India (Karnataka) |||| 1000 | 1300 |
mc | American ||||| 1900 | 2010 |
mc | French ||||| 1890 | 1970 |
aw mi | American | American |||| 1740 | 1910 | United States/New England//Rhode Island/Bristol County/Warren
aw | American | American |||| 1740 | 1910 | United States/Mid-Atlantic//New York/Kings County/Brooklyn
aa mi | German | German, Augsburg |||| 1450 | 1780 | Germany///Bavaria//Augsburg
aa | Italian | Italian, Milan |||| 1400 | 1620 | Italy///Lombardy//Milan
is | Iranian ||||| 900 | 1150 | Iran/Khurasan////Nishapur
is | Iranian ||||| 1300 | 1700 | Iran/////Isfahan
me cl | French | French |||| 1150 | 1400 | France///Limousin//Limoges
me | Greek | Byzantine |||| 500 | 1200 | Turkey/////Constantinople
cl | Netherlandish | South Netherlandish |||| 1400 | 1530 | South Netherlands///Burgundian territories//Brussels
""")
PLACE_KEYS = ["country", "region", "subregion", "state", "county", "city", "locale", "locus", "excavation"]

# departments | classification | object names | media | form
KINDS = _rows("""
ep rl mc | Paintings | Painting | Oil on canvas; Oil on canvas; Oil on wood; Oil on copper; Tempera on wood | flat
dp | Prints | Print | Etching; Engraving; Lithograph; Etching and engraving | flat
gr | Vases | Neck-amphora; Lekythos; Oinochoe; Column-krater; Skyphos | Terracotta | tall
gr | Bronzes | Statuette; Mirror; Fibula; Handle | Bronze | tall
gr | Gems | Intaglio; Scaraboid; Ring stone | Carnelian; Chalcedony; Rock crystal | small
gr | Gold and Silver | Earring; Pendant; Finger ring | Gold; Silver; Gold, garnet | small
eg || Amulet; Scarab; Scaraboid; Ring | Faience; Steatite; Glazed steatite; Carnelian; Gold | small
eg || Stela; Relief; Statue; Jar | Limestone; Limestone, paint; Granodiorite; Quartzite | tall
as | Sculpture | Figure; Head; Stele | Bronze; Stone; Schist; Gilt bronze; Sandstone | tall
as | Ceramics | Bowl; Dish; Vase | Stoneware with ash glaze; Earthenware with lead glaze; Stoneware | round
es mc | Sculpture | Statuette; Group; Relief; Bust | Bronze; Marble; Boxwood; Terracotta | tall
es | Metalwork-Silver | Ewer; Candlestick; Spoon | Silver; Silver, partly gilded | tall
es | Ceramics-Porcelain | Teapot; Dish; Cup and saucer | Hard-paste porcelain; Soft-paste porcelain | round
aw || Plate; Pitcher; Tankard; Bowl | Silver; Pewter; Earthenware, transfer-printed | round
aw || Painting | Oil on canvas; Oil on wood | flat
aa | Helmets | Burgonet; Close helmet; Kettle hat | Steel; Steel, gold; Steel, leather, copper alloy | tall
aa | Swords | Rapier; Smallsword; Dagger | Steel, wood; Steel, gold, silver | long
is | Codices | Folio from a manuscript | Ink, opaque watercolor, and gold on paper | flat
is | Ceramics | Bowl; Tile; Jar | Stonepaste, luster-painted on opaque white glaze | round
me cl | Ivories-Elephant | Plaque; Casket; Comb | Elephant ivory; Elephant ivory, traces of polychromy | small
me cl | Enamels-Champlevé | Medallion; Book cover plaque | Champlevé enamel, copper-gilt | round
mi | Chordophone-Lute-bowed-unfretted | Violin; Viola; Pochette | Spruce, maple, ebony; Spruce, maple | long
""")

# people | given names, a woman's with an asterisk | family names | towns of theirs
PEOPLE = {
    nation: [_cells(cell) for cell in cells]
    for nation, *cells in _rows("""
French | Aurèle; Théodat; Ghislain; Corentine* | Vautrinel; d'Orlacq; Montcygnet; Brézolles; Quévrement | Vautreuil
Italian | Benozzino; Tiberto; Neròlo; Fiammetta* | Scarpaldi; Monteverri; dell'Orzo; Bragonzi; Caldarulo | Monteverro
Netherlandish | Wybrand; Gijs; Roeland; Machteld* | van Wielder; Krommedijk; Oosterhaar; Plasboom; Reigher | Wielderdijk
British | Aldous; Peregrine; Barnaby; Euphemia* | Fennimarsh; Wrexcombe; Thistlewade; Quillip; O'Darragan | Wrexcombe
American | Prudent; Ezekias; Amariah; Temperance* | Oakhollow; Merripike; Saltonbridge; Larkmead; Winnepog | Larkmead
German | Ansgar; Wunibald; Götz; Hedwiga* | Tröllhuber; Finkenrath; Süßapfel; Moorwieser; Kranichel | Tröllnach
Chinese | 蘆燕秋 Lu Yanqiu; 璩墨溪 Qu Moxi; 糜竹隱 Mi Zhuyin; 冼松汀 Xian Songting; 翟皓月 Zhai Haoyue || Luting
Japanese | 霞沼翠雲 Kasenuma Suiun; 遠沢蘆月 Tozawa Rogetsu; 鷺森青嵐 Sagimori Seiran; 音田竹庵 Otoda Chikuan || Sagi
Indian | Madhavdas; Bhurekhan; Ramdayal || Chitrapatti; Madhavkot
Iranian | `Abd al-Wafir; Mir `Ala; Bihruzan; Mahsati* | Kashigar; Zarkubani; Nilufari; Harirbaf; Sahhafzada | Zarkuban
Egyptian | Neferhesut; Amenirdisu; Ptahwerka; Meritsheri* || Per-Benuka; Tjebnuref
Greek | Philokydes; Telexias; Anthemokles; Kallirhyme* || Kerkathos; Melissopyli
""")
}

TAGS = {
    motif: tag
    for tag, motifs in _rows("""
Birds | a Heron; a Magpie; Two Quails; a Kingfisher; Three Swallows; a Lapwing
Horses | a Grazing Horse; a Horse's Head; Two Riders; a Foal
Lions | a Sleeping Lion; a Lion's Paw; a Lion under a Palm
Dogs | a Hound; Two Greyhounds; a Spaniel
Fish | a Pike; Three Carp; an Eel
Insects | a Bee; a Dragonfly; a Moth
Flowers | Irises; a Thistle; Poppies; a Lotus Bud
Fruit | Quinces; a Split Fig; Medlars
Trees | a Willow; Two Cypresses; a Fallen Oak
Boats | a Ferry; Two Barges
Women | a Lacemaker; Two Gleaners
Men | a Ferryman; an Archer; Two Wrestlers
Moon | a New Moon; the Moon behind Clouds
""")
    for motif in _cells(motifs)
}

PICTURE_TITLES = _cells("""Portrait of {person}; {motif} at {town}; View of {town} with {motif}; {person} with {motif};
Still Life with {motif} and {other}; {town}: {motif} and {other}""")
THING_TITLES = _cells("""{name} with {motif} and {other}; {name} of {person}; {name} from {town} with {motif};
"{town}" {name} with {motif}; {name} showing {motif} beside {other}""")
# What a loader, a terminal or a report may trip over.
ODD_TITLES = _cells("""; L’Été à Vautreuil; The Word `Silver` in a Margin; Note for $20 and 5% Interest; Mirror \\ & /;
"Quinces," Called "The Large Quinces"; <i>Three Carp</i>, from <i>Twelve Marshes</i>; 霧沼白鷺図 (White Heron in Mist);
Cafe\u0301 on the Mole, Fo\u0308hrenau""")
METADATA_DATES = 20 * ["2025-03-09T04:46:51.34Z", "2025-09-16T04:54:53.55Z"] + [
    "2025-09-17T04:55:02.5Z",
    "2025-10-01T04:55:07Z",
]
ODD_GALLERIES = ["in Great Hall", "on Fifth Avenue", "Sample Library", ""]
CREDITS = _cells("""Gift of {donor}, {year}; Bequest of {donor}, {year}; Purchase, {donor} Gift, {year};
The {donor} Collection, {year}; {donor} Fund, {year}""")

# the sides that are measured, and the smallest and the largest of them in sixteenths of an inch
FORMS = {
    "flat": (["Height", "Width"], 96, 1280),
    "tall": (["Height", "Width", "Depth"], 32, 640),
    "round": (["Height", "Diameter"], 24, 320),
    "small": (["Length"], 6, 48),
    "long": (["Length", "Width"], 200, 720),
}


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
    """RECORD_COUNT records with KEYS in the API's order, the same on every call.

    Shape: objectID consecutive from FIRST_OBJECT_ID; departments mixed, and in the proportions of DEPARTMENTS.
    """
    dice = Dice(FIRST_OBJECT_ID)
    artists = [_artists(position) for position in range(len(ERAS))]
    departments = [row for row in DEPARTMENTS for _ in range(int(row[3]))]
    # The step has no divisor in common with their number: each of them comes once before one comes again.
    chosen = (departments[number * 1009 % len(departments)] for number in range(RECORD_COUNT))
    return [_record(dice, object_id, row, artists) for object_id, row in enumerate(chosen, FIRST_OBJECT_ID)]


def _artists(position: int) -> list[Artist]:
    """Those of the era at that position, with lives that lie in it: women from 1850, and before 1200 only painters."""
    codes, nation, *_, first, last, _place = ERAS[position]
    earliest, years = int(first) - 10, int(last) - int(first) - 20
    start = 5 * [era[1] for era in ERAS[:position]].count(nation)
    artists = []
    for number in range(start, start + 5):
        given, family, town = (cell[number % len(cell)] for cell in PEOPLE[nation])
        born = earliest + number * 29 % years
        name = f"Painter of {list(TAGS)[number]}" if codes == "gr" else f"{given} {family}".rstrip().replace("*", "")
        sort_name = f"{family}, {given}".replace("*", "") if family else name
        gender = "Female" if "*" in given else ""
        if codes == "gr" or (born >= 1200 and (not gender or born > 1850)):
            died = born + 40 + 7 * number % 40
            artists.append(
                Artist(910_001 + 10 * position + number % 5, name, sort_name, gender, nation, town, born, died)
            )
    return artists


def _record(dice: Dice, object_id: int, department: list[str], artists: list[list[Artist]]) -> Record:
    code, department_name, galleries, _count, *percents, roles, place_types = department
    public_percent, images_percent, tags_percent, artist_percent, place_percent = map(int, percents)
    position = dice.pick([position for position, era in enumerate(ERAS) if code in era[0].split()])
    _codes, nation, culture, period, dynasty, reign, *years, places = ERAS[position]
    _codes, classification, names, media, form = dice.pick([kind for kind in KINDS if code in kind[0].split()])
    artist = dice.pick(artists[position]) if artists[position] and dice.happens(artist_percent) else None
    first, last = map(int, years)
    if artist and code != "gr":
        first, last = max(first, artist.born + 20), min(last, artist.died)
    words, begin, end = _date(dice, first, last, "B.C." if code == "eg" else "BCE", is_known=artist is not None)
    year = dice.number(max(1874, end), 2024)
    name = dice.pick(_cells(names))
    title, tags = _title_and_tags(dice, form, name, nation)
    dimensions, measurements = _dimensions(dice, form, is_metric_first=code == "eg")
    size_luck = dice.number(1, 100)
    record: Record = dict.fromkeys(KEYS, "")
    record |= {"constituents": None, "additionalImages": [], "repository": REPOSITORY, "department": department_name}
    record |= {"objectID": object_id, "objectURL": f"{SITE}/objects/{object_id}"}
    record |= {"isHighlight": dice.happens(8.5), "isTimelineWork": dice.happens(23)}
    # In the museum's own numbers, those of 2,847 real records, nothing as high as 9,001 follows the year.
    record["accessionNumber"] = f"{year if year > 1969 else f'{year % 100:02}'}.{dice.number(9001, 9999)}"
    record["accessionNumber"] += dice.pick(
        9 * ["", f".{dice.number(1, 300)}", f".{dice.number(1, 300)}"] + ["a, b", "a–c"]
    )
    record["accessionYear"] = str(year) if dice.happens(99.5) else ""
    record |= {"objectName": name, "medium": dice.pick(_cells(media)), "classification": classification}
    record["title"] = title if object_id % 60 else ODD_TITLES[object_id // 60 % len(ODD_TITLES)]
    record |= {"culture": culture, "period": period, "dynasty": dynasty, "reign": reign}
    record |= {"objectDate": words if dice.happens(98.4) else "", "objectBeginDate": begin, "objectEndDate": end}
    record["dimensions"] = dimensions if size_luck < 100 else ""
    record["measurements"] = measurements if size_luck < 96 else None
    record["creditLine"] = dice.pick(CREDITS).format(donor=_person(dice, "American")[0], year=year)
    record["metadataDate"] = _metadata_date(dice)
    record["tags"] = tags if dice.happens(tags_percent) else None
    record["objectWikidata_URL"] = f"{SITE}/wiki/Q{object_id}" if dice.happens(93.7) else ""
    gallery = f"{dice.number(*map(int, galleries.split('-'))):03}"
    record["GalleryNumber"] = dice.pick(ODD_GALLERIES) if dice.happens(0.4) else gallery
    record["isPublicDomain"] = dice.happens(public_percent)
    if record["isPublicDomain"]:
        record |= _images(dice, f"{code}/original/S{object_id}", 100 * images_percent / public_percent)
    if dice.happens(place_percent):
        record["geographyType"] = dice.pick(_cells(place_types))
        record |= dict(zip(PLACE_KEYS[: dice.pick([1, len(PLACE_KEYS)])], places.split("/"), strict=False))
    if artist:
        record |= _artist_fields(dice, artist, dice.pick(artists[position]), dice.pick(_cells(roles)))
    if artist and code == "mc" and dice.happens(40):
        record["rightsAndReproduction"] = f"© 2024 Estate of {artist.name} / Sample Rights Society"
    return record


def _person(dice: Dice, nation: str) -> tuple[str, str]:
    """A name, and what the person is tagged as."""
    given_names, family_names, _towns = PEOPLE[nation]
    given = dice.pick(given_names)
    return f"{given} {dice.pick(family_names)}".replace("*", "").rstrip(), "Women" if "*" in given else "Men"


def _date(dice: Dice, first: int, last: int, before: str, *, is_known: bool) -> tuple[str, int, int]:
    """In words, the first year and the last; where the artist is known, years and not centuries."""
    begin = end = dice.number(first, last) or 1
    style = dice.number(0, 2 if is_known else 4)
    if style < 2:
        margin = 5 * style
        return "ca. " * style + _years(begin, end, before), begin - margin or -1, end + margin or 1
    if style == 2:
        end = min(begin + dice.number(1, 20), last) or 1
        return _years(begin, end, before), begin, end
    if style == 3 and last - first < 300:
        return "ca. " + _years(first, last, before), first, last
    century = (abs(begin) - (begin < 0)) // 100
    ending = {0: "st", 1: "nd", 2: "rd", 20: "st"}.get(century, "th")
    begin, end = (-100 * century - 99, -100 * century or -1) if begin < 0 else (100 * century or 1, 100 * century + 99)
    return _with_era(f"{century + 1}{ending} century", end, before), begin, end


def _years(begin: int, end: int, before: str) -> str:
    if begin < 0 < end:
        return f"{-begin} {before}–{end} CE"
    if begin == end:
        return _with_era(str(abs(end)), end, before)
    is_short = begin > 1000 and begin // 100 == end // 100
    return _with_era(f"{abs(begin)}–{f'{end % 100:02}' if is_short else abs(end)}", end, before)


def _with_era(words: str, end: int, before: str) -> str:
    return f"{words} {before}" if end < 0 else f"{words} CE" if end < 500 else words


def _title_and_tags(dice: Dice, form: str, name: str, nation: str) -> tuple[str, list[Record]]:
    template = dice.pick(PICTURE_TITLES if form == "flat" else THING_TITLES)
    (motif, tag), (other, other_tag) = dice.pick(list(TAGS.items())), dice.pick(list(TAGS.items()))
    (person, person_tag), town = _person(dice, nation), dice.pick(PEOPLE[nation][2])
    title = template.format(name=name, motif=motif, other=other, person=person, town=town)
    slots = {"{motif}": tag, "{other}": other_tag, "{person}": person_tag}
    terms = [term for slot, term in slots.items() if slot in template]
    while dice.happens(20):
        terms.append(dice.pick(list(TAGS.values())))
    tags = []
    for term in dict.fromkeys(terms):
        number = 900_001 + list(TAGS.values()).index(term)
        # The museum's thesauri do not have every word.
        aat_url = f"{SITE}/aat/{number}" if term != "Moon" else None
        tags.append(
            {"term": term, "AAT_URL": aat_url, "Wikidata_URL": f"{SITE}/wiki/Q{number}" if number % 9 else None}
        )
    return title[0].upper() + title[1:], tags


def _dimensions(dice: Dice, form: str, *, is_metric_first: bool) -> tuple[str, list[Record]]:
    """Inches and centimetres in words, and the same centimetres as numbers; sometimes of two parts, each on a line."""
    axes, smallest, largest = FORMS[form]
    parts = ["Overall", "Frame" if form == "flat" else "Base"] if dice.happens(13.5) else ["Overall"]
    lines, measurements = [], []
    for part in parts:
        sizes = [dice.number(smallest, largest) for _ in axes]
        # A sixteenth of an inch is 254/160 mm; in whole numbers nothing depends on how a platform rounds.
        millimetres = [(size * 254 + 80) // 160 for size in sizes]
        centimetres = [size / 10 if size % 10 else size // 10 for size in millimetres]
        letters = ["" if form == "flat" else "Diam. " if axis == "Diameter" else f"{axis[0]}. " for axis in axes]
        cross = dice.pick([" x ", " × "])
        inches = cross.join(map(str.__add__, letters, map(_inches, sizes))) + " in."
        metric = cross.join(map(str, centimetres)) + " cm"
        line = f"{metric} ({inches})" if is_metric_first else f"{inches} ({metric})"
        lines.append(f"{part}: {line}" if len(parts) > 1 else line)
        description = "confirmed" if dice.happens(2) else None
        sides = dict(sorted(zip(axes, centimetres, strict=True)))
        measurements.append({"elementName": part, "elementDescription": description, "elementMeasurements": sides})
    return ("\r" if dice.happens(1) else "\r\n").join(lines), measurements


def _inches(sixteenths: int) -> str:
    whole, rest = divmod(sixteenths, 16)
    divisor = math.gcd(rest, 16)
    return f"{whole or ''} {f'{rest // divisor}/{16 // divisor}' if rest else ''}".strip()


def _images(dice: Dice, stem: str, more_percent: float) -> Record:
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


def _artist_fields(dice: Dice, artist: Artist, colleague: Artist, role: str) -> Record:
    """The fields of the first artist; `constituents` begins with the same, and sometimes goes on with a colleague."""
    is_painter_of_vases = artist.born < 1200
    prefix = dice.pick(["Attributed to", "Workshop of", "After a model by"]) if dice.happens(12) else ""
    prefix = "Attributed to the" if is_painter_of_vases else prefix
    constituents = [_constituent(artist, role, prefix)]
    if dice.happens(15) and colleague is not artist:
        constituents.append(_constituent(colleague, dice.pick(["Founder", "Manufacturer", "Publisher"]), ""))
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


def _constituent(artist: Artist, role: str, prefix: str) -> Record:
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


def _metadata_date(dice: Dice) -> str:
    """In UTC with 0 to 3 decimals, as the museum leaves off zeros; half of the records changed at the same times."""
    if dice.happens(50):
        return dice.pick(METADATA_DATES)
    day = f"{dice.number(2023, 2025)}-{dice.number(1, 12):02}-{dice.number(1, 28):02}"
    seconds = f"{dice.number(0, 59):02}.{dice.number(0, 999):03}".rstrip("0").rstrip(".")
    return f"{day}T04:{dice.number(40, 59)}:{seconds}Z"


@command("the file is not whole")
def main(argv: Sequence[str] | None = None) -> int:
    """0; the file at `--out` holds the records, one a line."""
    parser = argparse.ArgumentParser(description="Write the made-up sample records.")
    parser.add_argument("--out", type=Path, default=OBJECTS_PATH, help="the file to write (default: %(default)s)")
    path: Path = parser.parse_args(argv).out
    # The keys alone are 1 kB a record, so there are no blanks between them.
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in make_sample_objects())
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
