from collections.abc import Callable, Iterator
import fcntl
import hashlib
import http.server
import io
import os
import pathlib
import threading
import zipfile

import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import fetching

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def send(
  handler: http.server.BaseHTTPRequestHandler,
  status: int,
  body: bytes,
  **headers: str,
) -> None:
  handler.send_response(status)
  for name, value in headers.items():
    handler.send_header(name.replace('_', '-'), value)
  handler.end_headers()
  handler.wfile.write(body)


def whole(body: bytes) -> Answer:
  """Sends everything, whatever range is asked for."""
  return lambda handler: send(handler, 200, body, Content_Length=str(len(body)))


def cut(body: bytes, at: int) -> Answer:
  """Announces everything and hangs up after `at` bytes."""
  return lambda handler: send(
    handler, 200, body[:at], Content_Length=str(len(body))
  )


def rest(body: bytes) -> Answer:
  """Sends the range that is asked for."""

  def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
    start = int(handler.headers['Range'].removeprefix('bytes=')[:-1])
    if start >= len(body):
      send(handler, 416, b'', Content_Range=f'bytes */{len(body)}')
      return
    send(
      handler,
      206,
      body[start:],
      Content_Length=str(len(body) - start),
      Content_Range=f'bytes {start}-{len(body) - 1}/{len(body)}',
    )

  return answer


def status(code: int) -> Answer:
  return lambda handler: send(handler, code, b'', Content_Length='0')


class Server:
  """Gives scripted answers, the last one again and again."""

  def __init__(self) -> None:
    self.answers: list[Answer] = []
    self.ranges: list[str | None] = []  # The Range header of each request.
    outer = self

    class Handler(http.server.BaseHTTPRequestHandler):
      def do_GET(self) -> None:
        answer = outer.answers[min(len(outer.ranges), len(outer.answers) - 1)]
        outer.ranges.append(self.headers.get('Range'))
        answer(self)

      def log_message(self, format: str, *args: object) -> None:
        pass

    self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    self.url = f'http://127.0.0.1:{self._server.server_address[1]}/published'
    self._thread = threading.Thread(
      target=self._server.serve_forever, kwargs={'poll_interval': 0.01}
    )
    self._thread.start()

  def stop(self) -> None:
    self._server.shutdown()
    self._server.server_close()
    self._thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
  monkeypatch.setattr(fetching, '_FIRST_PAUSE_SECONDS', 0.0)
  monkeypatch.setenv('no_proxy', '*')
  started = Server()
  yield started
  started.stop()


def data_file(url: str, **overrides: str | int | None) -> fetching.DataFile:
  values: dict = {
    'name': 'some_set/some_file',
    'sha256': SHA256,
    'size_bytes': len(CONTENT),
    'url': url,
    'homepage': 'https://example.org/some_set',
  }
  return fetching.DataFile(**values | overrides)


def zipped(**members: bytes) -> bytes:
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in members.items():
      archive.writestr(name, content)
  return buffer.getvalue()


def names_in(folder: pathlib.Path) -> list[str]:
  return sorted(path.name for path in folder.iterdir())


def assert_says_what_to_put_where(
  message: str, file: fetching.DataFile, path: pathlib.Path
) -> None:
  for fact in (str(path), file.sha256, str(file.size_bytes), file.url):
    assert fact in message
  assert file.homepage in message
  assert '\n' not in message


def test_default_data_dir_is_in_the_users_cache(monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere/cache')
  assert fetching.default_data_dir() == pathlib.Path(
    '/somewhere/cache/tff_pipelines'
  )


@pytest.mark.parametrize('cache', [None, '', 'relative/cache'])
def test_default_data_dir_without_an_absolute_xdg_cache_is_in_home(
  monkeypatch, cache
):
  monkeypatch.setenv('HOME', '/home/someone')
  if cache is None:
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  else:
    monkeypatch.setenv('XDG_CACHE_HOME', cache)
  assert fetching.default_data_dir() == pathlib.Path(
    '/home/someone/.cache/tff_pipelines'
  )


def test_a_file_that_is_there_is_returned_without_a_request(server, tmp_path):
  path = tmp_path / 'some_set' / 'some_file'
  path.parent.mkdir()
  path.write_bytes(CONTENT)
  assert fetching.locate(data_file(server.url), tmp_path) == path
  assert server.ranges == []
  assert names_in(path.parent) == ['some_file']


def test_another_file_that_is_there_is_an_error_and_stays(server, tmp_path):
  path = tmp_path / 'some_set' / 'some_file'
  path.parent.mkdir()
  path.write_bytes(b'abc')
  file = data_file(server.url)
  with pytest.raises(fetching.ChecksumMismatchError) as raised:
    fetching.locate(file, tmp_path)
  message = str(raised.value)
  assert message.startswith(
    f'Expected {path} to have sha256 {SHA256} (256000 bytes), found '
    # The known answer of FIPS 180-2, appendix B.1.
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad '
    '(3 bytes); delete it to have it fetched again, or '
  )
  assert_says_what_to_put_where(message, file, path)
  assert path.read_bytes() == b'abc'
  assert server.ranges == []


def test_a_directory_in_the_files_place_is_an_error(server, tmp_path):
  path = tmp_path / 'some_set' / 'some_file'
  path.mkdir(parents=True)
  file = data_file(server.url)
  with pytest.raises(
    fetching.DataUnavailableError, match=r'^Could not read .* \(Is a directory'
  ) as raised:
    fetching.locate(file, tmp_path)
  assert_says_what_to_put_where(str(raised.value), file, path)


def test_a_missing_file_is_fetched_once(server, tmp_path):
  server.answers = [whole(CONTENT)]
  file = data_file(server.url)
  path = fetching.locate(file, tmp_path / 'new')
  assert path == tmp_path / 'new' / 'some_set' / 'some_file'
  assert path.read_bytes() == CONTENT
  assert fetching.locate(file, tmp_path / 'new') == path
  assert server.ranges == [None]
  assert names_in(path.parent) == ['some_file']


def test_a_member_is_taken_out_of_its_archive(server, tmp_path):
  server.answers = [whole(zipped(readme=b'Hello.', wanted=CONTENT))]
  path = fetching.locate(data_file(server.url, member='wanted'), tmp_path)
  assert path.read_bytes() == CONTENT
  assert names_in(path.parent) == ['some_file']


def test_an_archive_without_the_member_is_an_error(server, tmp_path):
  server.answers = [whole(zipped(readme=b'Hello.'))]
  file = data_file(server.url, member='wanted')
  with pytest.raises(
    fetching.DataUnavailableError,
    match=r'^Expected http\S+ to be a zip archive that holds wanted, found: '
    r"There is no item named 'wanted' in the archive; download ",
  ) as raised:
    fetching.locate(file, tmp_path)
  assert_says_what_to_put_where(
    str(raised.value), file, tmp_path / 'some_set' / 'some_file'
  )
  assert 'its member wanted' in str(raised.value)
  assert names_in(tmp_path / 'some_set') == []


def test_an_archive_that_is_none_is_an_error(server, tmp_path):
  server.answers = [whole(b'<html>Please log in.</html>')]
  with pytest.raises(
    fetching.DataUnavailableError, match='found: File is not a zip file; '
  ):
    fetching.locate(data_file(server.url, member='wanted'), tmp_path)
  assert names_in(tmp_path / 'some_set') == []


def test_a_damaged_archive_is_an_error(server, tmp_path):
  archive = bytearray(zipped(wanted=CONTENT))
  archive[60] ^= 0xFF  # Among the compressed bytes.
  server.answers = [whole(bytes(archive))]
  with pytest.raises(
    fetching.DataUnavailableError, match='to be a zip archive that holds wanted'
  ):
    fetching.locate(data_file(server.url, member='wanted'), tmp_path)
  assert names_in(tmp_path / 'some_set') == []


@pytest.mark.parametrize('member', [None, 'wanted'])
def test_a_wrong_checksum_leaves_nothing(server, tmp_path, member):
  server.answers = [whole(zipped(wanted=b'abc') if member else b'abc')]
  file = data_file(server.url, member=member)
  path = tmp_path / 'some_set' / 'some_file'
  with pytest.raises(fetching.ChecksumMismatchError) as raised:
    fetching.locate(file, tmp_path)
  assert str(raised.value).startswith(
    f'Expected some_set/some_file from {server.url} to have sha256 {SHA256} '
    '(256000 bytes), found ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410'
    'ff61f20015ad (3 bytes); the publisher changed it'
  )
  assert_says_what_to_put_where(str(raised.value), file, path)
  assert names_in(path.parent) == []
  assert server.ranges == [None]


def test_a_cut_fetch_is_continued_where_it_was_cut(server, tmp_path):
  server.answers = [cut(CONTENT, HALF), rest(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.ranges == [None, f'bytes={HALF}-']
  assert names_in(path.parent) == ['some_file']


def test_a_cut_archive_is_continued_where_it_was_cut(server, tmp_path):
  archive = zipped(wanted=CONTENT)
  server.answers = [cut(archive, 100), rest(archive)]
  path = fetching.locate(data_file(server.url, member='wanted'), tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.ranges == [None, 'bytes=100-']


def test_the_next_call_continues_what_this_one_could_not_finish(
  server, tmp_path, monkeypatch
):
  monkeypatch.setattr(fetching, '_ATTEMPTS', 1)
  server.answers = [cut(CONTENT, HALF), rest(CONTENT)]
  file = data_file(server.url)
  with pytest.raises(
    fetching.DataUnavailableError,
    match=r'\(the connection was cut after 128000 of 256000 bytes\)',
  ):
    fetching.locate(file, tmp_path)
  assert names_in(tmp_path / 'some_set') == ['some_file.part']
  assert fetching.locate(file, tmp_path).read_bytes() == CONTENT
  assert server.ranges == [None, f'bytes={HALF}-']


def test_a_cut_inside_a_chunk_is_noticed(server, tmp_path):
  def cut_chunk(handler: http.server.BaseHTTPRequestHandler) -> None:
    body = f'{len(CONTENT):x}\r\n'.encode() + CONTENT[:HALF]
    send(handler, 200, body, Transfer_Encoding='chunked')

  server.answers = [cut_chunk, whole(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT
  assert len(server.ranges) == 2


def test_a_server_that_ignores_ranges_starts_over(server, tmp_path):
  server.answers = [cut(CONTENT, HALF), whole(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.ranges == [None, f'bytes={HALF}-']


def test_a_server_that_continues_elsewhere_starts_over(server, tmp_path):
  def from_the_start(handler: http.server.BaseHTTPRequestHandler) -> None:
    last = len(CONTENT) - 1
    send(handler, 206, CONTENT, Content_Range=f'bytes 0-{last}/{len(CONTENT)}')

  server.answers = [cut(CONTENT, HALF), from_the_start, whole(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.ranges == [None, f'bytes={HALF}-', None]


def leave_part(folder: pathlib.Path, content: bytes) -> None:
  part = folder / 'some_set' / 'some_file.part'
  part.parent.mkdir()
  part.write_bytes(content)


def test_a_download_that_was_complete_is_installed(server, tmp_path):
  leave_part(tmp_path, CONTENT)
  server.answers = [rest(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.ranges == [f'bytes={len(CONTENT)}-']


def test_leftovers_longer_than_the_file_are_fetched_anew(server, tmp_path):
  leave_part(tmp_path, CONTENT + b'!')
  server.answers = [rest(CONTENT), whole(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.ranges == [f'bytes={len(CONTENT) + 1}-', None]


def test_leftovers_of_another_edition_are_fetched_anew(server, tmp_path):
  leave_part(tmp_path, b'x' * HALF)
  server.answers = [rest(CONTENT), whole(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT
  assert server.ranges == [f'bytes={HALF}-', None]
  assert names_in(path.parent) == ['some_file']


def test_two_at_once_fetch_once(server, tmp_path, monkeypatch):
  second_is_waiting = threading.Event()
  flock = fcntl.flock
  locked: list[int] = []

  def noticed(handle: io.IOBase, operation: int) -> None:
    locked.append(operation)
    if len(locked) == 2:
      second_is_waiting.set()
    flock(handle, operation)

  monkeypatch.setattr(fcntl, 'flock', noticed)

  def slowly(handler: http.server.BaseHTTPRequestHandler) -> None:
    assert second_is_waiting.wait(timeout=10)
    whole(CONTENT)(handler)

  server.answers = [slowly]
  file = data_file(server.url)
  found: list[pathlib.Path] = []
  threads = [
    threading.Thread(
      target=lambda: found.append(fetching.locate(file, tmp_path))
    )
    for _ in range(2)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(timeout=10)
  path = tmp_path / 'some_set' / 'some_file'
  assert found == [path, path]
  assert path.read_bytes() == CONTENT
  assert server.ranges == [None]
  assert names_in(path.parent) == ['some_file']


def test_a_busy_server_is_asked_again(server, tmp_path):
  server.answers = [status(503), whole(CONTENT)]
  path = fetching.locate(data_file(server.url), tmp_path)
  assert path.read_bytes() == CONTENT


def test_attempts_are_bounded(server, tmp_path):
  server.answers = [status(503)]
  with pytest.raises(fetching.DataUnavailableError, match='HTTP Error 503'):
    fetching.locate(data_file(server.url), tmp_path)
  assert len(server.ranges) == fetching._ATTEMPTS


def test_a_server_that_does_not_answer_is_given_up(
  server, tmp_path, monkeypatch
):
  monkeypatch.setattr(fetching, '_TIMEOUT_SECONDS', 0.05)
  monkeypatch.setattr(fetching, '_ATTEMPTS', 1)
  released = threading.Event()
  server.answers = [lambda handler: released.wait(timeout=10) and None]
  with pytest.raises(fetching.DataUnavailableError, match=r'\(timed out\)'):
    fetching.locate(data_file(server.url), tmp_path)
  released.set()


def test_a_page_that_is_gone_is_not_asked_for_again(server, tmp_path):
  server.answers = [status(404)]
  file = data_file(server.url)
  with pytest.raises(
    fetching.DataUnavailableError,
    match=r'^Could not fetch some_set/some_file \(HTTP Error 404: Not Found\); '
    'check the connection and try again, or download ',
  ) as raised:
    fetching.locate(file, tmp_path)
  assert_says_what_to_put_where(
    str(raised.value), file, tmp_path / 'some_set' / 'some_file'
  )
  assert server.ranges == [None]
  assert names_in(tmp_path / 'some_set') == []


def test_no_server_at_all_tells_which_file_to_put_where(server, tmp_path):
  server.stop()
  file = data_file(server.url, member='wanted')
  with pytest.raises(
    fetching.DataUnavailableError, match=r'\(Connection refused\); check'
  ) as raised:
    fetching.locate(file, tmp_path)
  assert_says_what_to_put_where(
    str(raised.value), file, tmp_path / 'some_set' / 'some_file'
  )
  assert 'put its member wanted (256000 bytes, sha256 ' in str(raised.value)
  assert names_in(tmp_path / 'some_set') == []


def test_a_folder_that_cannot_be_made_is_an_error(server, tmp_path):
  (tmp_path / 'a_file').write_bytes(b'')
  file = data_file(server.url)
  data_dir = tmp_path / 'a_file' / 'data'
  with pytest.raises(
    fetching.UnwritableDataDirError,
    match=r'^Could not write to \S+/a_file/data/some_set \(Not a directory\); '
    'make it writable, give another --data_dir, or download ',
  ) as raised:
    fetching.locate(file, data_dir)
  assert_says_what_to_put_where(
    str(raised.value), file, data_dir / 'some_set' / 'some_file'
  )
  assert server.ranges == []


def test_a_full_disk_is_an_error_of_the_folder(server, tmp_path, monkeypatch):
  def full(descriptor: int) -> None:
    raise OSError(28, 'No space left on device')

  server.answers = [whole(CONTENT)]
  monkeypatch.setattr(os, 'fsync', full)
  with pytest.raises(
    fetching.UnwritableDataDirError, match=r'\(No space left on device\)'
  ):
    fetching.locate(data_file(server.url), tmp_path)
  assert server.ranges == [None]


@pytest.mark.parametrize(
  'error',
  [
    fetching.ChecksumMismatchError,
    fetching.DataUnavailableError,
    fetching.UnwritableDataDirError,
  ],
)
def test_task_binaries_print_every_error_as_one_sentence(error):
  assert issubclass(error, errors.PipelineError)


@pytest.mark.parametrize('where', ['data.bin', 'folder/data.bin'])
def test_a_file_is_found_in_its_folder_and_in_the_folder_itself(
  tmp_path, where
):
  path = tmp_path / where
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(CONTENT)
  file = fetching.DataFile(
    'folder/data.bin', SHA256, len(CONTENT), 'nowhere://', 'nowhere://'
  )
  assert fetching.locate_bare(file, tmp_path) == path
