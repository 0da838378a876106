//! Judges from PyPI: zizmor, actionlint and check-jsonschema find nothing new in what noxide has mended.
