"""The variables of an intensive-care record, with their units and the range that a living body can show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Values outside cannot be physiology, only artefacts, unit slips or typing errors."""

    low: float
    high: float
    unit: str


# The 37 series of the PhysioNet/CinC Challenge 2012, in its spelling. The limits are wider than the most extreme
# survivors reported, so that they cut errors (pH 735, temperature -17.8) and never illness.
SERIES: dict[str, Range] = {
    "ALP": Range(5, 5000, "IU/L"),
    "ALT": Range(1, 20000, "IU/L"),
    "AST": Range(1, 20000, "IU/L"),
    "Albumin": Range(0.5, 7, "g/dL"),
    "BUN": Range(1, 300, "mg/dL"),
    "Bilirubin": Range(0.1, 80, "mg/dL"),
    "Cholesterol": Range(20, 1000, "mg/dL"),
    "Creatinine": Range(0.1, 30, "mg/dL"),
    "DiasABP": Range(10, 200, "mmHg"),
    "FiO2": Range(0.21, 1, "fraction"),
    "GCS": Range(3, 15, "points"),
    "Glucose": Range(10, 2000, "mg/dL"),
    "HCO3": Range(3, 60, "mmol/L"),
    "HCT": Range(5, 75, "%"),
    "HR": Range(10, 300, "1/min"),
    "K": Range(1, 15, "mmol/L"),
    "Lactate": Range(0.1, 40, "mmol/L"),
    "MAP": Range(15, 250, "mmHg"),
    "MechVent": Range(0, 1, "yes"),
    "Mg": Range(0.3, 15, "mg/dL"),
    "NIDiasABP": Range(10, 200, "mmHg"),
    "NIMAP": Range(15, 250, "mmHg"),
    "NISysABP": Range(25, 300, "mmHg"),
    "Na": Range(90, 200, "mmol/L"),
    "PaCO2": Range(8, 200, "mmHg"),
    "PaO2": Range(15, 700, "mmHg"),
    "Platelets": Range(1, 3000, "1000/uL"),
    "RespRate": Range(1, 100, "1/min"),
    "SaO2": Range(20, 100, "%"),
    "SysABP": Range(25, 300, "mmHg"),
    "Temp": Range(25, 45, "C"),
    "TroponinI": Range(0.01, 500, "ug/L"),
    "TroponinT": Range(0.005, 100, "ug/L"),
    "Urine": Range(0, 5000, "mL"),
    "WBC": Range(0.05, 500, "1000/uL"),
    "Weight": Range(20, 400, "kg"),
    "pH": Range(6.5, 8, "1"),
}

# Known on admission. Weight is both: its first value describes the patient, the later ones are a series.
STATIC: dict[str, Range] = {
    "Age": Range(14, 120, "years"),
    "Gender": Range(0, 1, "0 female, 1 male"),
    "Height": Range(100, 230, "cm"),
    "ICUType": Range(1, 4, "1 coronary, 2 cardiac surgery, 3 medical, 4 surgical"),
    "Weight": Range(20, 400, "kg"),
}

MISSING = -1.0
