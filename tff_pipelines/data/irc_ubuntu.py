"""Ubuntu IRC logs: a support channel's chat, 2004 to 2018, by nickname.

Features: the messages, one string each (10 words on average). No labels.
Examples: 221,619 messages in 173 files, each of them hours of one day.
Clients: 17,780 nicknames as written, bots included. IRC does not tell upper
  from lower case, and clients append `_` or a backtick to a nickname that is
  taken: both are undone, or a person who reconnects would be two clients, each
  with a privacy of their own. Nicknames can still be changed, and shared: the
  installation medium calls everyone `ubuntu`.
Left out, and counted: messages of bots (those whose name begins with `ubot` or
  `floodbot`: the channel's encyclopaedia and its guards, the largest "users"
  by far); actions (`* nick`); system lines (`===`: joins and quits carry host
  names) and notices. The nickname that a message is addressed to, at its start
  as in `nick: text`, is taken off if it is one of that log's: it is a personal
  datum of somebody else, and nothing that a model could learn to type.
Order: by date, so that each nickname's messages are in the order of time.
Format: UTF-8, `[HH:MM] <nick> text`.
Licence: CC BY 4.0 (the corpus); the Ubuntu project declares the logs of its
  channels public domain.
Source: the folder `data` of github.com/jkkummerfeld/irc-disentanglement at
  commit 82ed04f9627a45d0d6f2ec3c8683c88eb408a0d5.

Reference: Kummerfeld et al., "A Large-Scale Corpus for Conversation
Disentanglement", ACL 2019.
"""

import collections
import pathlib
import re

from tff_pipelines.data import file_bundles, typed_text

FILES = file_bundles.Bundle(
  archive='irc_ubuntu/irc_ubuntu_raw.tar.gz',
  folder='irc_ubuntu',
  suffix='.raw.txt',
  num_files=173,
  sha256='6a0264f97d3d64a673526ec88950301d3d345c99b97f0a1bf40893debae53f54',
  how_to_get=(
    'clone https://github.com/jkkummerfeld/irc-disentanglement, check out '
    '82ed04f9627a45d0d6f2ec3c8683c88eb408a0d5 and copy the folders train, dev '
    'and test of its folder data to irc_ubuntu in --data_dir'
  ),
)

_MESSAGE = re.compile(r'\[\d\d:\d\d\] <([^>]+)> ?(.*)')
_ACTION = re.compile(r'\[\d\d:\d\d\] +\* ')
_BOT = re.compile(r'ubot|floodbot')
# What stands before a colon or a comma at the start of a message.
_ADDRESS = re.compile(r'\s*([^\s:,]+)\s?[:,]+\s*')


def load(data_dir: pathlib.Path) -> typed_text.TypedText:
  """Loads everyone's messages in the order of time.

  Args:
    data_dir: The folder that holds 'irc_ubuntu'.

  Returns:
    The messages of people. `provenance` counts what was left out.

  Raises:
    PipelineError: Any of those of `file_bundles.read`.
  """
  files = file_bundles.read(FILES, data_dir)
  # Names begin with the date; no date is in two of the folders.
  logs = sorted((pathlib.PurePath(name).name, files[name]) for name in files)
  texts: list[str] = []
  clients: list[str] = []
  counts: collections.Counter[str] = collections.Counter()
  for _, log in logs:
    for nick, text in _messages(log.decode('utf-8'), counts):
      clients.append(nick)
      texts.append(text)
  return typed_text.TypedText(
    texts=tuple(texts),
    clients=tuple(clients),
    provenance={
      'source': 'irc_ubuntu',
      'files': FILES.num_files,
      'sha256': FILES.sha256,
      'licence': 'CC BY 4.0, Kummerfeld et al. 2019; logs public domain',
      'clients': 'nicknames in lower case without trailing _ and `',
      'lines': counts['lines'],
      'messages': len(texts),
      'left_out': {
        kind: counts[kind]
        for kind in (
          'messages_of_bots',
          'actions',
          'system_lines',
          'messages_without_text',
        )
      },
      'addresses_taken_off': counts['addresses'],
    },
  )


def person(nick: str) -> str:
  """Returns the name under which a nickname's messages are kept."""
  lower = nick.lower()
  return lower.rstrip('_`') or lower


def _messages(
  log: str, counts: collections.Counter[str]
) -> list[tuple[str, str]]:
  """Returns person and text of each message of a log, and counts the rest."""
  # Not str.splitlines, which also splits at characters that messages hold.
  lines = log.removesuffix('\n').split('\n')
  counts['lines'] += len(lines)
  matches = [_MESSAGE.fullmatch(line) for line in lines]
  said = [(person(m[1]), m[2]) for m in matches if m]
  num_actions = sum(bool(_ACTION.match(line)) for line in lines)
  counts['actions'] += num_actions
  counts['system_lines'] += len(lines) - len(said) - num_actions
  speakers = {nick for nick, _ in said}
  kept = []
  for nick, text in said:
    if _BOT.match(nick):
      counts['messages_of_bots'] += 1
      continue
    bare = _without_address(text, speakers)
    counts['addresses'] += bare != text
    if bare.strip():
      kept.append((nick, bare))
    else:
      counts['messages_without_text'] += 1
  return kept


def _without_address(text: str, speakers: set[str]) -> str:
  """Returns a message without the nicknames that it begins with."""
  while (found := _ADDRESS.match(text)) and person(found[1]) in speakers:
    text = text[found.end() :]
  return text
