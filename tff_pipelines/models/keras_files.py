"""Keras files without the time at which they were written."""

import json
import pathlib
import zipfile


def forget_date(path: pathlib.Path) -> None:
  """Removes the time of saving, so that equal models are equal files."""
  with zipfile.ZipFile(path) as archive:
    members = [(info.filename, archive.read(info)) for info in archive.filelist]
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
    for name, content in members:
      if name == 'metadata.json':
        metadata = json.loads(content)
        metadata.pop('date_saved', None)
        content = json.dumps(metadata).encode()
      archive.writestr(zipfile.ZipInfo(name), content)
