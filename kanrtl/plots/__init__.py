"""Pictures of plain data. They need matplotlib, which the extra ``plot`` installs."""
