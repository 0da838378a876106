//! All that people see: boards, lines, tables, errors.
