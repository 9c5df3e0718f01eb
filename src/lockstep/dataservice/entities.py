"""The lists that a data service offers: their paths, how the ids in them begin, and what one row is called.

The client asks for these, the sample serves them, the snapshot stores them. `REPORTED` are the nine that a release
report counts.
"""

import re
from dataclasses import dataclass
from typing import Final

from lockstep.protocol.ids import ALPHABET


@dataclass(frozen=True, slots=True)
class Entity:
    """One list: `GET /{path}`, whose rows have ids that begin with `prefix` and an underscore."""

    path: str
    prefix: str
    singular: str


_ROWS: Final = (
    ("studies", "SD", "study"),
    ("investigators", "IG", "investigator"),
    ("participants", "PT", "participant"),
    ("families", "FM", "family"),
    ("family-relationships", "FR", "family_relationship"),
    ("diagnoses", "DG", "diagnosis"),
    ("phenotypes", "PH", "phenotype"),
    ("outcomes", "OC", "outcome"),
    ("biospecimens", "BS", "biospecimen"),
    ("biospecimen-diagnoses", "BD", "biospecimen_diagnosis"),
    ("samples", "SA", "sample"),
    ("sample-relationships", "SR", "sample_relationship"),
    ("genomic-files", "GF", "genomic_file"),
    ("read-groups", "RG", "read_group"),
    ("sequencing-experiments", "SE", "sequencing_experiment"),
    ("sequencing-centers", "SC", "sequencing_center"),
    ("study-files", "SF", "study_file"),
    ("cavatica-apps", "CA", "cavatica_app"),
    ("tasks", "TK", "task"),
    ("task-genomic-files", "TG", "task_genomic_file"),
    ("biospecimen-genomic-files", "BG", "biospecimen_genomic_file"),
    ("read-group-genomic-files", "RF", "read_group_genomic_file"),
    ("sequencing-experiment-genomic-files", "SG", "sequencing_experiment_genomic_file"),
)

ENTITIES: Final = {path: Entity(path, prefix, singular) for path, prefix, singular in _ROWS}
"""Every list of a data service, by its path."""

STUDIES: Final = "studies"

REPORTED: Final = (
    "participants",
    "biospecimens",
    "phenotypes",
    "genomic-files",
    "study-files",
    "read-groups",
    "diagnoses",
    "sequencing-experiments",
    "families",
)
"""The lists that a release report counts, in the order in which reports show them."""


def looks_like_id(text: str, prefix: str) -> bool:
    """Tell whether a data service would take a text for an id: it looks at the beginning only."""
    return re.match(rf"{prefix}_[{ALPHABET}]{{8}}", text) is not None
